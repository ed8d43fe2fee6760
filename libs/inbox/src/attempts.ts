import { type BatchLimit } from './batch-limit.js';
import { type Breaker } from './breaker.js';
import { type ConsumerLimits } from './inbox.config.js';
import { backoffMs, type InboxClock } from './inbox-clock.js';
import { type InboxObserver, type Settlement } from './inbox-observer.js';
import { type Arrival, type Handle, type HoldVerdict, type InboxPort } from './inbox-port.js';
import { type FailureCode, failureCodeOf, heldVerdict, parkedVerdict, policyFor } from './retry-policy.js';
import { TaskHealth } from './task-health.js';

/** A record that waits in its lane, with what was tried so far. */
export interface PendingRecord {
  readonly arrival: Arrival;
  /** Set for a malformed record: it is set aside without a try. */
  readonly verdict: HoldVerdict | null;
  /** Was part of a batch that failed, or has failed itself: it is tried by itself. */
  isAlone: boolean;
  /** Tries that count. */
  attempts: number;
  /** Failed writes of its verdict. */
  holdFailures: number;
  /** Monotonic time of the first failure. */
  firstFailedMs: number | null;
}

/** Not settled: the records go back to their lanes and are ready again after `waitMs`. */
export type AttemptResult = { readonly kind: 'settled' } | { readonly kind: 'back'; readonly waitMs: number };

/** What attempts are made with. */
export interface AttemptParts {
  readonly inbox: InboxPort;
  readonly handle: Handle;
  readonly breaker: Breaker;
  readonly clock: InboxClock;
  readonly limits: Pick<ConsumerLimits, 'inMemoryRetryMs'>;
  readonly batchLimit: BatchLimit;
  readonly observer: Required<InboxObserver>;
}

/** How long the lane of a key may wait for its first record before the key is held (H17). */
const IN_MEMORY_MS = 5_000;
const CONFLICT_MIN_MS = 20;
const CONFLICT_MAX_MS = 500;
/** When a chain that has just begun is tried for the first time. */
export const FIRST_HELD_MS = 1_000;
const HOLD_FAILED_MIN_MS = 100;
const HOLD_FAILED_MAX_MS = 5_000;

/**
 * One attempt to settle a batch: apply it, or do what the error table says. A batch that fails is tried again record by
 * record, which costs none of them an attempt. Nothing here waits; who is to wait is told so.
 */
export class Attempts {
  readonly #holding: TaskHealth;

  constructor(private readonly parts: AttemptParts) {
    this.#holding = new TaskHealth('set-aside', parts.observer);
  }

  /** Never rejects. */
  async run(records: readonly PendingRecord[]): Promise<AttemptResult> {
    const [first] = records;
    const verdict = first?.verdict ?? null;
    if (first !== undefined && verdict !== null) {
      return await this.#hold(first, verdict, null);
    }
    try {
      const arrivals = records.map(({ arrival }) => arrival);
      const outcomes = await this.parts.inbox.apply(arrivals, this.parts.handle);
      arrivals.forEach((arrival, index) => {
        this.#settled(arrival, outcomes[index] ?? 'applied');
      });
      return { kind: 'settled' };
    } catch (error) {
      return await this.#failed(records, error);
    }
  }

  async #failed(records: readonly PendingRecord[], error: unknown): Promise<AttemptResult> {
    const { breaker, observer } = this.parts;
    const code = failureCodeOf(error);
    const { action } = policyFor(code);
    observer.attemptFailed({ code, action, records: records.length, error });
    // an error that names no cause may be the end of a connection: an attempt counts only while the database answers
    if ((action === 'wait' || action === 'retry') && !(await breaker.isDatabaseThere(error))) {
      return { kind: 'back', waitMs: 0 };
    }
    const [record] = records;
    if (record === undefined || records.length > 1) {
      if (action === 'again') {
        this.parts.batchLimit.conflicted();
      }
      for (const other of records) {
        other.isAlone = true;
      }
      return { kind: 'back', waitMs: 0 };
    }
    return await this.#failedAlone(record, error, code);
  }

  async #failedAlone(record: PendingRecord, error: unknown, code: FailureCode): Promise<AttemptResult> {
    record.isAlone = true;
    switch (policyFor(code).action) {
      case 'park':
        return await this.#hold(record, parkedVerdict(error, code), error);
      case 'hold':
        return await this.#hold(record, heldVerdict(error, code, FIRST_HELD_MS), error);
      case 'wait':
      case 'again':
        return await this.#again(record, error, code);
      case 'retry':
        return await this.#retry(record, error, code);
    }
  }

  /** Costs no attempt, but the watermark does not wait for ever either: the chain goes on trying. */
  async #again(record: PendingRecord, error: unknown, code: FailureCode): Promise<AttemptResult> {
    const waitMs = CONFLICT_MIN_MS + (CONFLICT_MAX_MS - CONFLICT_MIN_MS) * this.parts.clock.random();
    return this.#isOutOfTime(record, waitMs)
      ? await this.#hold(record, heldVerdict(error, code, FIRST_HELD_MS), error)
      : { kind: 'back', waitMs };
  }

  async #retry(record: PendingRecord, error: unknown, code: FailureCode): Promise<AttemptResult> {
    const step = this.parts.limits.inMemoryRetryMs[record.attempts];
    record.attempts++;
    const waitMs = step === undefined ? null : step / 2 + (step / 2) * this.parts.clock.random();
    return waitMs === null || this.#isOutOfTime(record, waitMs)
      ? await this.#hold(record, heldVerdict(error, code, FIRST_HELD_MS), error)
      : { kind: 'back', waitMs };
  }

  #isOutOfTime(record: PendingRecord, waitMs: number): boolean {
    const nowMs = this.parts.clock.monotonicMs();
    record.firstFailedMs ??= nowMs;
    return nowMs + waitMs - record.firstFailedMs > IN_MEMORY_MS;
  }

  async #hold(record: PendingRecord, verdict: HoldVerdict, error: unknown): Promise<AttemptResult> {
    const { arrival } = record;
    const { observer } = this.parts;
    try {
      const outcome = await this.parts.inbox.hold(arrival, verdict);
      this.#holding.worked();
      if (outcome !== 'duplicate') {
        const { topic, partition, offset } = arrival.delivery;
        const { kind, code, reason } = verdict;
        observer.setAside({ kind, id: arrival.id, type: arrival.type, topic, partition, offset, code, reason, error });
      }
      this.#settled(arrival, outcome === 'duplicate' ? outcome : verdict.kind);
      return { kind: 'settled' };
    } catch (holdError) {
      return await this.#holdFailed(record, holdError);
    }
  }

  /** Without its claim row nothing may be passed over, so this is tried until it succeeds. */
  async #holdFailed(record: PendingRecord, error: unknown): Promise<AttemptResult> {
    if (!(await this.parts.breaker.isDatabaseThere(error))) {
      return { kind: 'back', waitMs: 0 };
    }
    record.isAlone = true;
    record.holdFailures++;
    if (policyFor(failureCodeOf(error)).action !== 'again') {
      this.#holding.failed(error);
    }
    const waitMs = backoffMs(record.holdFailures, HOLD_FAILED_MIN_MS, HOLD_FAILED_MAX_MS, this.parts.clock);
    return { kind: 'back', waitMs };
  }

  #settled({ type, delivery }: Arrival, settlement: Settlement): void {
    const { topic, partition, timestampMs } = delivery;
    const ageMs = this.parts.clock.wallMs() - timestampMs;
    this.parts.observer.recordSettled({ settlement, type, topic, partition, ageMs });
  }
}
