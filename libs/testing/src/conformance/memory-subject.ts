import {
  type Delivery,
  type ReadBackRequest,
  type ReadBackResult,
  type SinkFeatures,
  type SinkLane,
  type SinkPort,
  type SinkReceipt,
  type SinkRecord,
  type SinkTopic,
} from '@millrace/transport';
import { uniqueName } from '../unique-name.js';
import { type SinkFaults, type SinkSubject, type SlowDown } from './sink-subject.js';

/** A rule that a sink in memory breaks on purpose, for the suite to find. */
export type BrokenRule =
  | 'acknowledges what it has lost'
  | 'changes a value'
  | 'lets a key overtake itself'
  | 'leaves the end of a batch out after a fault'
  | 'keeps a part of a batch that it calls atomic'
  | 'calls a refusal unknown'
  | 'takes what is too large'
  | 'stops all lanes for one'
  | 'keeps every record'
  | 'queues sends of a lane'
  | 'does not come back'
  | 'never gives up'
  | 'does not wait for what is in flight'
  | 'takes sends after its stop'
  | 'acknowledges without an answer'
  | 'stores repeats that it says it does not'
  | 'leaves out a record when it is read back';

const LANES = 4;
const GIVE_UP_MS = 100;
const LATENCY_MS = 1;
const POISON = 'poison';
const FEATURES: SinkFeatures = {
  isOrdered: true,
  isBatchAtomic: true,
  isDeduplicating: true,
  recordBytesMax: 100_000,
  batchRecordsMax: 50,
  batchBytesMax: 1_000_000,
};

type Fault = 'none' | keyof Omit<SinkFaults, 'heal'>;

/** What all sinks of a subject reach. */
class MemoryServer {
  fault: Fault = 'none';
  readonly stored = new Map<string, Delivery[]>();
  readonly slow = new Set<string>();
  /** Sends that hear nothing until connections are cut, or work again. */
  readonly waiting = new Set<() => void>();

  faults(): SinkFaults {
    const to = (fault: Fault) => (): void => {
      this.fault = fault;
      if (fault === 'cut' || fault === 'none') {
        this.waiting.forEach((end) => {
          end();
        });
      }
    };
    return {
      cut: to('cut'),
      silence: to('silence'),
      loseReplies: to('loseReplies'),
      breakBatches: to('breakBatches'),
      heal: to('none'),
    };
  }

  store({ topic, partition }: SinkLane, records: readonly SinkRecord[], isRepeatStored: boolean): void {
    const log = this.stored.get(topic) ?? [];
    this.stored.set(topic, log);
    for (const { key, value, headers } of records) {
      const found = new Map(headers.map(([name, content]) => [name.toString(), content]));
      const isThere = log.some((one) => one.headers.get('id')?.equals(found.get('id') ?? Buffer.alloc(0)) === true);
      if (isRepeatStored || !isThere) {
        log.push({
          topic,
          partition,
          offset: BigInt(log.length),
          key,
          value: Buffer.from(value),
          headers: found,
          timestampMs: 0,
        });
      }
    }
  }
}

class MemorySinkError extends Error {
  override readonly name = 'SinkError';

  constructor(
    readonly code: string,
    readonly outcome: 'unknown' | 'refused',
  ) {
    super(code);
  }
}

class MemorySink implements SinkPort {
  readonly kind = 'memory';
  readonly features = FEATURES;
  private readonly inFlight = new Map<string, Promise<unknown>>();
  private readonly kept: SinkRecord[] = [];
  private isStarted = false;
  private hasFailed = false;
  private sends = 0;

  constructor(
    private readonly server: MemoryServer,
    private readonly broken: BrokenRule | null,
  ) {}

  start(): Promise<void> {
    this.isStarted = true;
    return Promise.resolve();
  }

  openTopic(name: string): Promise<SinkTopic> {
    const lanes = Array.from({ length: LANES }, (_, partition) => ({
      id: `${name}/${partition}`,
      topic: name,
      partition,
    }));
    const [first] = lanes;
    if (first === undefined) {
      throw new Error('There is always a lane.');
    }
    return Promise.resolve({ name, lanes, laneOf: (key) => lanes[sumOf(key) % LANES] ?? first });
  }

  async send(lane: SinkLane, records: readonly SinkRecord[]): Promise<SinkReceipt> {
    const before = this.inFlight.get(lane.id);
    if (before !== undefined && this.broken !== 'queues sends of a lane') {
      throw new Error('The lane is in flight.');
    }
    this.demandStarted();
    const sending = this.answered(lane, records, before);
    this.inFlight.set(lane.id, sending);
    try {
      await sending;
      return { baseOffset: null };
    } catch (error) {
      this.hasFailed = true;
      throw error;
    } finally {
      this.inFlight.delete(lane.id);
    }
  }

  async readBack(
    { isWanted }: ReadBackRequest,
    take: (records: readonly Delivery[]) => Promise<void>,
  ): Promise<ReadBackResult> {
    const from = this.broken === 'leaves out a record when it is read back' ? 1 : 0;
    for (const [topic, log] of this.server.stored) {
      await take(isWanted(topic) ? log.slice(from) : []);
    }
    return { kind: 'complete' };
  }

  async stop(): Promise<void> {
    this.isStarted = false;
    if (this.broken !== 'does not wait for what is in flight') {
      await Promise.allSettled(this.inFlight.values());
    }
  }

  private demandStarted(): void {
    if (!this.isStarted && this.broken !== 'takes sends after its stop') {
      throw new MemorySinkError('unavailable', 'unknown');
    }
    if (this.hasFailed && this.broken === 'does not come back') {
      throw new MemorySinkError('unavailable', 'unknown');
    }
  }

  private async answered(lane: SinkLane, records: readonly SinkRecord[], before?: Promise<unknown>): Promise<void> {
    await before?.catch(() => undefined);
    this.refuse(records);
    this.sends += 1;
    if (this.broken === 'keeps every record') {
      this.kept.push(...records);
    }
    await this.waited(lane);
    if (!this.isStarted && this.broken === 'does not wait for what is in flight') {
      throw new MemorySinkError('unavailable', 'unknown');
    }
    const { fault } = this.server;
    this.reach(fault, lane, records);
    if (fault === 'none' || (this.broken === 'acknowledges without an answer' && fault === 'loseReplies')) {
      return;
    }
    await this.withoutAnswer(fault);
    throw new MemorySinkError('unavailable', 'unknown');
  }

  /** What of a send comes to the server. */
  private reach(fault: Fault, lane: SinkLane, records: readonly SinkRecord[]): void {
    if (fault === 'none' || fault === 'loseReplies') {
      this.server.store(lane, this.misdone(records), this.broken === 'stores repeats that it says it does not');
    }
    if (fault === 'breakBatches' && this.broken === 'keeps a part of a batch that it calls atomic') {
      this.server.store(lane, records.slice(0, 3), false);
    }
  }

  private async waited({ id }: SinkLane): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, LATENCY_MS));
    const isSlow = this.broken === 'stops all lanes for one' ? this.server.slow.size > 0 : this.server.slow.has(id);
    if (isSlow) {
      await this.withoutAnswer('silence');
      throw new MemorySinkError('timeout', 'unknown');
    }
  }

  private withoutAnswer(fault: Fault): Promise<void> {
    if (fault !== 'silence' && fault !== 'loseReplies') {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const end = (): void => {
        this.server.waiting.delete(end);
        clearTimeout(timer);
        resolve();
      };
      const isForEver = this.broken === 'never gives up' && fault === 'silence';
      const timer = setTimeout(end, isForEver ? 60_000 : GIVE_UP_MS);
      this.server.waiting.add(end);
    });
  }

  private refuse(records: readonly SinkRecord[]): void {
    const isTooLarge = records.some(({ value }) => value.length > FEATURES.recordBytesMax);
    if (isTooLarge && this.broken !== 'takes what is too large') {
      throw new MemorySinkError('record_too_large', 'refused');
    }
    if (records.some(({ value }) => value.toString() === POISON)) {
      throw new MemorySinkError('record_invalid', this.broken === 'calls a refusal unknown' ? 'unknown' : 'refused');
    }
  }

  private misdone(records: readonly SinkRecord[]): readonly SinkRecord[] {
    const { broken, sends, hasFailed } = this;
    if (broken === 'acknowledges what it has lost' && sends % 10 === 0) {
      return [];
    }
    if (broken === 'changes a value') {
      return records.map((record) => ({ ...record, value: Buffer.from(record.value.toString()) }));
    }
    if (broken === 'lets a key overtake itself') {
      return [...records].reverse();
    }
    return broken === 'leaves the end of a batch out after a fault' && hasFailed ? records.slice(0, -1) : records;
  }
}

/** A sink in memory, sound, or with a rule that it breaks. */
export function memorySubject(broken: BrokenRule | null = null): SinkSubject {
  const server = new MemoryServer();
  const makeTopic = (): Promise<string> => Promise.resolve(uniqueName('memory'));
  const slowDown: SlowDown = ({ id }) => {
    server.slow.add(id);
    const release = (): Promise<void> => {
      server.slow.clear();
      return Promise.resolve();
    };
    return Promise.resolve({ ids: new Set([id]), release });
  };
  return {
    name: broken ?? 'memory',
    patienceMs: 2_500,
    create: () => new MemorySink(server, broken),
    makeTopic,
    makePoisonedTopic: async () => ({ topic: await makeTopic(), value: Buffer.from(POISON) }),
    readAll: (topic) => Promise.resolve([...(server.stored.get(topic) ?? [])]),
    faults: server.faults(),
    slowDown,
  };
}

function sumOf(key: Buffer): number {
  return key.reduce((sum, byte) => sum + byte, 0);
}
