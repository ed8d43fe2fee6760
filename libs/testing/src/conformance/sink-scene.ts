import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { type Delivery, type SinkLane, type SinkPort, type SinkRecord, type SinkTopic } from '@millrace/transport';
import { uniqueName } from '../unique-name.js';
import { grouped } from './grouped.js';
import { type SinkSubject } from './sink-subject.js';

/** A sink that is started, and a topic of its own. */
export interface OpenedSink {
  readonly sink: SinkPort;
  readonly topic: SinkTopic;
}

/** How a send ended. `unknown` and `refused` are the outcomes of a `SinkError`. */
export interface SendEnding {
  readonly kind: 'acknowledged' | 'unknown' | 'refused';
  /** Of the error. */
  readonly code: string;
}

const POSITION = 'millrace-position';

/** One property's own sinks, topics and records. */
export class SinkScene {
  readonly #sinks: SinkPort[] = [];
  readonly #route = uniqueName('conformance');
  #position = 0;

  constructor(readonly subject: SinkSubject) {}

  /** A new sink, not started; it is stopped with the scene. */
  create(): SinkPort {
    const sink = this.subject.create();
    this.#sinks.push(sink);
    return sink;
  }

  /** A sink that is started, with the named topic, or one that is made for it. */
  async open(name?: string): Promise<OpenedSink> {
    const sink = this.create();
    const made = name ?? (await this.subject.makeTopic());
    await this.#patiently('start', () => sink.start());
    return { sink, topic: await this.#patiently('openTopic', () => sink.openTopic(made)) };
  }

  /** The next event of a route, with the headers of a relay. Its key may be any text. */
  record(key: string, value: Buffer | string = `${key} #${this.#position + 1}`): SinkRecord {
    this.#position += 1;
    const headers = {
      id: randomUUID(),
      'millrace-source': 'conformance',
      'millrace-route': this.#route,
      [POSITION]: String(this.#position),
      'millrace-epoch': '1',
      'millrace-low': '0',
    };
    return {
      key: Buffer.from(key),
      value: Buffer.from(value),
      headers: Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const),
    };
  }

  /** `count` events, turn by turn of each of the keys. */
  records(keys: readonly string[], count: number): readonly SinkRecord[] {
    return Array.from({ length: count }, (_, index) => this.record(keys[index % keys.length] ?? ''));
  }

  /** Sends once and says how it ended. Throws what is no `SinkError`, and when there is no end in time. */
  async sendOnce(sink: SinkPort, lane: SinkLane, records: readonly SinkRecord[]): Promise<SendEnding> {
    try {
      await this.inTime(sink.send(lane, records), `a send on ${lane.id} to end`);
      return { kind: 'acknowledged', code: '' };
    } catch (error) {
      return endingOf(error);
    }
  }

  /** As a relay does: the same records in the same order until they are acknowledged. Returns how often that was. */
  async deliver(
    sink: SinkPort,
    lane: SinkLane,
    records: readonly SinkRecord[],
    onFailed?: () => void,
  ): Promise<number> {
    const deadline = performance.now() + this.subject.patienceMs;
    for (let sends = 1; ; sends += 1) {
      const { kind, code } = await this.sendOnce(sink, lane, records);
      if (kind === 'acknowledged') {
        return sends;
      }
      if (kind === 'refused' || performance.now() > deadline) {
        throw new Error(
          `A batch of ${records.length} was never acknowledged; the last send ended as ${kind}, ${code}.`,
        );
      }
      onFailed?.();
      await turn();
    }
  }

  /** All records, each lane's in batches, lanes side by side. Returns how many sends that took. */
  async deliverAll(
    { sink, topic }: OpenedSink,
    records: readonly SinkRecord[],
    batchSize: number,
    onFailed?: () => void,
  ): Promise<number> {
    const ofLane = grouped(records, ({ key }) => topic.laneOf(key));
    const sends = await Promise.all(
      [...ofLane].map(async ([lane, mine]) => {
        let count = 0;
        for (let at = 0; at < mine.length; at += batchSize) {
          count += await this.deliver(sink, lane, mine.slice(at, at + batchSize), onFailed);
        }
        return count;
      }),
    );
    return sends.reduce((sum, count) => sum + count, 0);
  }

  /** Rejects when the work has not ended after `ms`. */
  async inTime<Result>(work: Promise<Result>, what: string, ms = this.subject.patienceMs): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`Waited ${ms} ms in vain for ${what}.`));
      }, ms);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Heals the faults and stops the sinks. */
  async close(): Promise<void> {
    this.subject.faults.heal();
    await Promise.all(this.#sinks.map((sink) => sink.stop()));
  }

  async #patiently<Result>(what: string, attempt: () => Promise<Result>): Promise<Result> {
    const deadline = performance.now() + this.subject.patienceMs;
    for (;;) {
      try {
        return await this.inTime(attempt(), what);
      } catch (error) {
        if (endingOf(error).kind === 'refused' || performance.now() > deadline) {
          throw error;
        }
      }
    }
  }
}

/** The position that a record, or what was stored of it, has in its headers. */
export function positionOf(record: SinkRecord | Delivery): string {
  if (record.headers instanceof Map) {
    return String(record.headers.get(POSITION));
  }
  const [, value] = [...record.headers].find(([name]) => name.toString() === POSITION) ?? [];
  return String(value);
}

/** Throws what is no `SinkError`. By its name: a sink under test may come with a transport of its own. */
function endingOf(error: unknown): SendEnding {
  if (error instanceof Error && error.name === 'SinkError') {
    const outcome: unknown = Reflect.get(error, 'outcome');
    if (outcome === 'unknown' || outcome === 'refused') {
      return { kind: outcome, code: String(Reflect.get(error, 'code')) };
    }
  }
  throw error;
}
