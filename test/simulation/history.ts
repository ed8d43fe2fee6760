import { type SinkLane, type SinkRecord } from '@millrace/transport';
import { type SimDatabase } from './sim-database.js';
import { type LoggedRecord, readRecord, type SimKafka } from './sim-kafka.js';
import { type SendWatch } from './sim-sink.js';

/** A rule that the relay must never break was broken. */
export class InvariantBroken extends Error {
  override readonly name = 'InvariantBroken';
}

interface OpenSend {
  readonly ids: string;
  readonly epoch: bigint;
}

/** A pause mark is seen at the latest when the lease has to be renewed: its life less the margin, and slow clocks. */
const PAUSE_SEEN_AFTER_MS = 8_500;

/** What a history looks at. */
export interface HistoryParts {
  readonly route: string;
  readonly database: SimDatabase;
  readonly kafka: SimKafka;
  /** Rules that are not looked at. */
  readonly blindTo: readonly string[];
}

/**
 * Sees all that is sent, stored and settled at the moment at which it happens in true time, and remembers the first
 * rule that was broken.
 */
export class History implements SendWatch {
  broken: InvariantBroken | null = null;
  sends = 0;
  private readonly route: string;
  private readonly database: SimDatabase;
  private readonly kafka: SimKafka;
  private readonly blindTo: ReadonlySet<string>;
  private readonly inFlight = new Map<string, OpenSend>();
  private readonly unknown = new Map<string, OpenSend>();
  /** By epoch: of each partition. */
  private readonly lengthsAtClaim = new Map<bigint, readonly number[]>();

  constructor(parts: HistoryParts) {
    const { route, database, kafka, blindTo } = parts;
    this.route = route;
    this.database = database;
    this.kafka = kafka;
    this.blindTo = new Set(blindTo);
    database.claimWatch = (epoch) => {
      this.lengthsAtClaim.set(
        epoch,
        kafka.logs.map(({ length }) => length),
      );
    };
    database.ledgerWatch = (isSettled, byEpoch) => {
      this.ledgerWritten(isSettled, byEpoch);
    };
  }

  sending(process: string, lane: SinkLane, records: readonly SinkRecord[]): void {
    this.sends += 1;
    const logged = records.map(readRecord);
    const epoch = logged[0]?.epoch ?? 0n;
    const stream = `${process} ${lane.id}`;
    const send = { ids: logged.map(({ id }) => id).join(' '), epoch };
    this.rule('one send in flight per lane', !this.inFlight.has(stream), `${stream} sends ${send.ids}`);
    this.rule(
      'single writer',
      epoch === this.database.epochOf(this.route) || process === this.database.claimedBy(this.route),
      `${process} sends ${send.ids} under epoch ${epoch} while the ledger has epoch ${this.database.epochOf(this.route)}`,
    );
    const before = this.unknown.get(stream);
    this.rule(
      'the same records again',
      before?.epoch !== epoch || before.ids === send.ids,
      `${stream} sends ${send.ids} after ${before?.ids ?? ''} had no answer`,
    );
    const pausedMs = this.database.pausedForMs(this.route);
    this.rule('a paused route sends nothing', pausedMs < PAUSE_SEEN_AFTER_MS, `${stream}, paused for ${pausedMs} ms`);
    for (const record of logged) {
      this.checkLow(record);
      this.checkCopy(record, lane.partition);
    }
    this.unknown.delete(stream);
    this.inFlight.set(stream, send);
  }

  ended(process: string, lane: SinkLane, outcome: 'stored' | 'refused' | 'unknown'): void {
    const stream = `${process} ${lane.id}`;
    const send = this.inFlight.get(stream);
    this.inFlight.delete(stream);
    if (outcome === 'unknown' && send !== undefined) {
      this.unknown.set(stream, send);
    }
  }

  /** Remembers the first broken rule. */
  rule(name: string, holds: boolean, what: string): void {
    if (!holds && !this.blindTo.has(name)) {
      this.broken ??= new InvariantBroken(`${name}: ${what}`);
    }
  }

  /** What can be said when nothing goes on any more. */
  checkLogs(): void {
    const truth = new Map(this.database.truth.map((event) => [event.id, event]));
    const versions = new Map<string, number>();
    const seen = new Set<string>();
    for (const log of this.kafka.logs) {
      for (const record of log) {
        const event = truth.get(record.id);
        this.rule(
          'no phantom',
          event?.position === record.position && event.key === record.key,
          `${record.id} is in the topic but not in the outbox`,
        );
        if (!seen.has(record.id)) {
          seen.add(record.id);
          const before = versions.get(record.key) ?? 0;
          this.rule(
            'order per key',
            record.version === before + 1,
            `${record.id} is version ${record.version} of ${record.key} and came after version ${before}`,
          );
          versions.set(record.key, record.version);
        }
      }
    }
  }

  private ledgerWritten(isSettled: (position: bigint) => boolean, byEpoch: bigint): void {
    this.rule(
      'an old epoch never moves the ledger',
      byEpoch === this.database.epochOf(this.route),
      `epoch ${byEpoch} wrote`,
    );
    for (const { id, position } of this.database.truth) {
      this.rule('settled after it was stored', !isSettled(position) || this.kafka.published.has(id), `${id} is lost`);
    }
  }

  /** Whoever takes the route over finds what stood there when he won it. */
  private checkCopy({ id, epoch }: LoggedRecord, partition: number): void {
    const before = this.kafka.logs[partition]?.slice(0, this.lengthsAtClaim.get(epoch)?.[partition] ?? 0) ?? [];
    this.rule(
      'one copy',
      !before.some((record) => record.id === id),
      `${id} is sent under epoch ${epoch} and stood in partition ${partition} when that began`,
    );
  }

  /** Consumers forget what lies at or below `low`: it must all have been stored before. */
  private checkLow({ low, id }: LoggedRecord): void {
    for (const event of this.database.truth) {
      if (event.position > low) {
        break;
      }
      this.rule(
        'low is true',
        this.kafka.published.has(event.id),
        `${id} says low ${low}, ${event.id} was not sent yet`,
      );
    }
  }
}
