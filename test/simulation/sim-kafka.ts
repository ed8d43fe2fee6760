import { type Delivery, type SinkLane, type SinkRecord } from '@millrace/transport';

/** A record as the log has it, with its headers read. */
export interface LoggedRecord {
  readonly position: bigint;
  readonly id: string;
  readonly key: string;
  readonly version: number;
  readonly epoch: bigint;
  readonly low: bigint;
  readonly headers: ReadonlyMap<string, Buffer>;
}

/** One topic with a number of partitions, each a log. */
export class SimKafka {
  isUp = true;
  isTopicThere = true;
  /** Events that are refused now, by id. */
  isPoison: (id: string) => boolean = () => false;
  /** Told of each record at the moment at which it is stored. */
  storeWatch: (record: LoggedRecord, partition: number) => void = () => undefined;
  /** Partitions that give no answer now; a number may stand there more than once. */
  silent: readonly number[] = [];
  readonly logs: LoggedRecord[][];
  readonly published = new Set<string>();
  /** Ids that were refused with no other record beside them. */
  readonly refused = new Set<string>();

  constructor(
    readonly partitions: number,
    /** Batches above it are refused as too large. */
    readonly batchRecordsMax: number,
  ) {
    this.logs = Array.from({ length: partitions }, () => []);
  }

  /** Nothing reaches the partition, and nothing comes back, until what is returned is called. */
  silence(partition: number): () => void {
    const which = partition % this.partitions;
    this.silent = [...this.silent, which];
    return () => {
      const at = this.silent.indexOf(which);
      this.silent = this.silent.filter((_, index) => index !== at);
    };
  }

  /** The partition of a key. */
  partitionOf(key: Buffer): number {
    return (key[0] ?? 0) % this.partitions;
  }

  append(lane: SinkLane, records: readonly SinkRecord[]): bigint {
    const log = this.logs[lane.partition] ?? [];
    const base = BigInt(log.length);
    for (const record of records) {
      const logged = readRecord(record);
      this.storeWatch(logged, lane.partition);
      log.push(logged);
      this.published.add(logged.id);
    }
    return base;
  }

  /** The sink will not have one of them as it is now. */
  refuses(records: readonly SinkRecord[]): boolean {
    const ids = records.map((record) => readRecord(record).id);
    const [id] = ids;
    if (!ids.some((each) => this.isPoison(each))) {
      return false;
    }
    if (ids.length === 1 && id !== undefined) {
      this.refused.add(id);
    }
    return true;
  }
}

/** As whoever reads the topic gets it. */
export function deliveryOf(
  { key, headers }: LoggedRecord,
  place: Pick<Delivery, 'topic' | 'partition' | 'offset'>,
): Delivery {
  return { ...place, key: Buffer.from(key), value: Buffer.alloc(0), headers, timestampMs: 0 };
}

/** Reads what a consumer would read. */
export function readRecord(record: SinkRecord): LoggedRecord {
  const headers = new Map(record.headers.map(([name, value]) => [name.toString(), value]));
  const text = (name: string): string => {
    const value = headers.get(name)?.toString();
    if (value === undefined) {
      throw new Error(`a record was sent without the header ${name}`);
    }
    return value;
  };
  return {
    position: BigInt(text('millrace-position')),
    id: text('id'),
    key: record.key.toString(),
    version: Number(text('aggregateversion')),
    epoch: BigInt(text('millrace-epoch')),
    low: BigInt(text('millrace-low')),
    headers,
  };
}
