import {
  type SinkError,
  type SinkFeatures,
  type SinkLane,
  type SinkPort,
  type SinkReceipt,
  type SinkRecord,
  type SinkTopic,
} from '@millrace/transport';

/** A send that a test answers. */
export interface FakeSend {
  readonly lane: string;
  readonly records: readonly SinkRecord[];
  /** Values of the header `millrace-position`. */
  readonly positions: readonly string[];
  accept(): void;
  fail(error: Error): void;
}

/** A sink of two lanes per topic that remembers its sends, and accepts them unless told to wait. */
export class FakeSink implements SinkPort {
  readonly kind = 'fake';
  readonly sends: FakeSend[] = [];
  readonly opened: string[] = [];
  features: SinkFeatures = {
    isOrdered: true,
    isBatchAtomic: true,
    isDeduplicating: false,
    recordBytesMax: 1_000_000,
    batchRecordsMax: 1_000,
    batchBytesMax: 1_000_000,
  };
  isHolding = false;
  startError: SinkError | null = null;
  topicError: SinkError | null = null;
  /** Topics are opened when it is resolved. */
  topicHold: Promise<void> | null = null;
  starts = 0;
  stops = 0;

  start(): Promise<void> {
    this.starts += 1;
    return this.startError === null ? Promise.resolve() : Promise.reject(this.startError);
  }

  async openTopic(topic: string): Promise<SinkTopic> {
    await this.topicHold;
    if (this.topicError !== null) {
      throw this.topicError;
    }
    this.opened.push(topic);
    const lanes: [SinkLane, SinkLane] = [
      { id: `${topic}/0`, topic, partition: 0 },
      { id: `${topic}/1`, topic, partition: 1 },
    ];
    return { name: topic, lanes, laneOf: (key) => (key.toString() === 'other' ? lanes[1] : lanes[0]) };
  }

  send(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> {
    return new Promise((resolve, reject) => {
      const send: FakeSend = {
        lane: lane.id,
        records,
        positions: records.map((record) => headerOf(record, 'millrace-position') ?? ''),
        accept: () => {
          resolve({ baseOffset: 0n });
        },
        fail: reject,
      };
      this.sends.push(send);
      if (!this.isHolding) {
        send.accept();
      }
    });
  }

  stop(): Promise<void> {
    this.stops += 1;
    return Promise.resolve();
  }

  /** The n-th send, from 0. */
  sendAt(index: number): FakeSend {
    const send = this.sends[index];
    if (send === undefined) {
      throw new Error(`there were only ${this.sends.length} sends`);
    }
    return send;
  }
}

/** The text of a header; `undefined` without it. */
export function headerOf(record: SinkRecord, name: string): string | undefined {
  return record.headers.find(([each]) => each.toString() === name)?.[1].toString();
}
