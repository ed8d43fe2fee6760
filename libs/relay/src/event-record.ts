import { type Epoch, HEADER, type OutboxEvent, type Position } from '@millrace/events';
import { recordBytes, type SinkHeader, type SinkRecord } from '@millrace/transport';
import { type RecordShape } from './record-shape.js';
import { type TopicNaming } from './topic-naming.js';

const NAME = {
  id: Buffer.from(HEADER.id),
  schemaVersion: Buffer.from(HEADER.schemaVersion),
  aggregateVersion: Buffer.from(HEADER.aggregateVersion),
  eventType: Buffer.from(HEADER.eventType),
  position: Buffer.from(HEADER.position),
};

const UNPARKED: SinkHeader = [Buffer.from(HEADER.unparked), Buffer.from('true')];

const CACHE_ENTRIES_MAX = 1_000;

/** An event in the form in which it leaves. */
export interface EncodedEvent {
  readonly topic: string;
  readonly record: SinkRecord;
  /** What the record takes in a batch, framing included; an upper estimate. */
  readonly bytes: number;
}

/** What all records of one claim have in common. */
export interface RecordOrigin {
  readonly source: string;
  readonly route: string;
  readonly epoch: Epoch;
  readonly topic: TopicNaming;
  readonly shape: RecordShape;
}

/**
 * Turns outbox rows into records: unless the route's shape says otherwise, key = aggregate id, value = the payload's
 * bytes untouched, headers as bare text. Headers of the producer follow Millrace's own; one with a reserved name is left
 * out. Runs once per event on the hot path, hence the shared Buffers for all that repeats.
 */
export class RecordEncoder {
  private readonly source: SinkHeader;
  private readonly route: SinkHeader;
  private readonly epoch: SinkHeader;
  private low: SinkHeader;
  private readonly types = new Map<string, SinkHeader>();
  private readonly schemaVersions = new Map<number, SinkHeader>();

  constructor(
    private readonly origin: RecordOrigin,
    low: Position,
  ) {
    this.source = header(HEADER.source, origin.source);
    this.route = header(HEADER.route, origin.route);
    this.epoch = header(HEADER.epoch, String(origin.epoch));
    this.low = header(HEADER.low, String(low));
  }

  /** `low` of the last ledger that was **written**: consumers forget what lies below it. */
  setLow(low: Position): void {
    this.low = header(HEADER.low, String(low));
  }

  /** Throws `RelayError` `topic_invalid`. */
  topicOf(event: OutboxEvent): string {
    return this.origin.topic.topicOf(event);
  }

  /** Of the record that `encode` makes. */
  keyOf(event: OutboxEvent): Buffer {
    return this.origin.shape.keyOf(event);
  }

  /** `isUnparked`: the event was held, and its turn is long over. Throws `RelayError` `topic_invalid`. */
  encode(event: OutboxEvent, isUnparked = false): EncodedEvent {
    const topic = this.origin.topic.topicOf(event);
    const key = this.keyOf(event);
    const value = this.origin.shape.valueOf(event);
    const own: SinkHeader[] = [
      [NAME.id, Buffer.from(event.id, 'latin1')],
      this.typeHeader(event.type),
      this.schemaVersionHeader(event.schemaVersion),
      this.source,
      this.route,
      [NAME.position, Buffer.from(event.position.toString(), 'latin1')],
      this.epoch,
      this.low,
    ];
    if (event.aggregateVersion !== null) {
      own.push([NAME.aggregateVersion, Buffer.from(event.aggregateVersion, 'latin1')]);
    }
    if (isUnparked) {
      own.push(UNPARKED);
    }
    this.origin.shape.appendHeaders(event, own);
    const record = { key, value, headers: own };
    return { topic, record, bytes: recordBytes(record) };
  }

  private typeHeader(type: string): SinkHeader {
    return cached(this.types, type, (value) => [NAME.eventType, Buffer.from(value)]);
  }

  private schemaVersionHeader(version: number): SinkHeader {
    return cached(this.schemaVersions, version, (value) => [NAME.schemaVersion, Buffer.from(String(value))]);
  }
}

function header(name: string, value: string): SinkHeader {
  return [Buffer.from(name), Buffer.from(value)];
}

/** Producers choose the keys, so the cache is emptied when it has grown large. */
function cached<K, V>(cache: Map<K, V>, key: K, make: (key: K) => V): V {
  const known = cache.get(key);
  if (known !== undefined) {
    return known;
  }
  if (cache.size >= CACHE_ENTRIES_MAX) {
    cache.clear();
  }
  const made = make(key);
  cache.set(key, made);
  return made;
}
