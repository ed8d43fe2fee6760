import { InboxError } from '../inbox.errors.js';
import {
  type Arrival,
  type Handle,
  type HoldVerdict,
  type InboxPort,
  type JudgeRetry,
  type Outcome,
  type PartitionProgress,
  type ReleaseReport,
} from '../inbox-port.js';
import { type Transaction } from '../transaction.js';

/** What a chain of the fake looks like. */
export interface FakeChain {
  readonly verdict: HoldVerdict;
  readonly arrivals: Arrival[];
}

/** An inbox in memory that does what `InboxPort` says, and fails when a test says so. */
export class FakeInbox implements InboxPort {
  /** Ids whose effects are committed, in order. */
  readonly applied: string[] = [];
  /** The size of each batch that was tried. */
  readonly batches: number[] = [];
  readonly chains = new Map<string, FakeChain>();
  readonly saved: PartitionProgress[] = [];
  readonly known = new Map<string, PartitionProgress>();
  /** While it is set everything rejects. */
  isAway = false;
  /** Thrown by the next calls of `apply` before anything happens; one each. */
  readonly applyErrors: Error[] = [];
  readonly holdErrors: Error[] = [];
  readonly openErrors: Error[] = [];
  readonly saveErrors: Error[] = [];
  readonly pruneErrors: Error[] = [];
  /** Whether each next call of `prune` leaves something; none when there is no more of them. */
  readonly pruneLeaves: boolean[] = [];
  prunes = 0;
  probes = 0;
  release: (handle: Handle, judge: JudgeRetry) => Promise<Partial<ReleaseReport>> = () => Promise.resolve({});
  readonly #claimed = new Set<string>();

  async apply(arrivals: readonly Arrival[], handle: Handle): Promise<readonly Outcome[]> {
    this.batches.push(arrivals.length);
    this.#requireThere();
    throwNext(this.applyErrors);
    const fresh: Arrival[] = [];
    const chained: Arrival[] = [];
    const outcomes: Outcome[] = [];
    for (const arrival of arrivals) {
      if (this.#claimed.has(arrival.id)) {
        outcomes.push('duplicate');
      } else if (this.chains.has(arrival.key)) {
        chained.push(arrival);
        outcomes.push('chained');
      } else {
        await handle(arrival, TRANSACTION);
        fresh.push(arrival);
        outcomes.push('applied');
      }
    }
    this.#requireThere();
    for (const arrival of [...fresh, ...chained]) {
      this.#claimed.add(arrival.id);
    }
    this.applied.push(...fresh.map(({ id }) => id));
    for (const arrival of chained) {
      this.chains.get(arrival.key)?.arrivals.push(arrival);
    }
    return outcomes;
  }

  async hold(arrival: Arrival, verdict: HoldVerdict): Promise<Outcome> {
    await Promise.resolve();
    this.#requireThere();
    throwNext(this.holdErrors);
    if (this.#claimed.has(arrival.id)) {
      return 'duplicate';
    }
    this.#claimed.add(arrival.id);
    const chain = this.chains.get(arrival.key) ?? { verdict, arrivals: [] };
    chain.arrivals.push(arrival);
    this.chains.set(arrival.key, chain);
    return 'chained';
  }

  async openPartition(topic: string, partition: number): Promise<PartitionProgress> {
    await Promise.resolve();
    this.#requireThere();
    throwNext(this.openErrors);
    const nothing = { topic, partition, nextOffset: null, hole: null, floors: [] };
    return this.known.get(`${topic}/${partition}`) ?? nothing;
  }

  async saveProgress(progress: readonly PartitionProgress[]): Promise<void> {
    await Promise.resolve();
    this.#requireThere();
    throwNext(this.saveErrors);
    if (new Set(progress.map(({ topic, partition }) => `${topic}/${partition}`)).size < progress.length) {
      throw Object.assign(new Error('one row twice'), { code: '21000', severity: 'ERROR' });
    }
    this.saved.push(...progress);
  }

  async prune(): Promise<{ readonly isMoreLeft: boolean }> {
    this.prunes++;
    await Promise.resolve();
    this.#requireThere();
    throwNext(this.pruneErrors);
    return { isMoreLeft: this.pruneLeaves.shift() ?? false };
  }

  async releaseDue(handle: Handle, judge: JudgeRetry): Promise<ReleaseReport> {
    this.#requireThere();
    const report = await this.release(handle, judge);
    return { applied: 0, heldAgain: 0, parked: [], nextDueInMs: null, ...report };
  }

  countSetAside(): Promise<{ readonly held: number; readonly parked: number; readonly heldKeys: number }> {
    return Promise.resolve({ held: 0, parked: 0, heldKeys: this.chains.size });
  }

  async probe(): Promise<void> {
    this.probes++;
    await Promise.resolve();
    this.#requireThere();
  }

  #requireThere(): void {
    if (this.isAway) {
      throw new InboxError('unavailable', 'The database is away.');
    }
  }
}

const TRANSACTION: Transaction = {
  get manager(): never {
    throw new Error('the fake has no database');
  },
  query: () => Promise.reject(new Error('the fake has no database')),
};

function throwNext(errors: Error[]): void {
  const error = errors.shift();
  if (error !== undefined) {
    throw error;
  }
}
