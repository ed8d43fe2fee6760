import { type DataSource } from 'typeorm';
import {
  ADD_EVENT,
  ADD_KEY,
  COUNT_SET_ASIDE,
  DUE_KEYS,
  HEAD,
  HOLD_HEAD,
  LOCK_KEY,
  NEXT_DUE,
  NEXT_HEAD,
  REMOVE_EVENT,
  REMOVE_KEY_IF_EMPTY,
  TRY_CHAIN,
} from './held-chain.sql.js';
import { arrivalOf, heldParameters, type HeldRow } from './held-record.js';
import { InboxError } from './inbox.errors.js';
import { type Arrival, type Handle, type HoldVerdict, type JudgeRetry, type ReleaseReport } from './inbox-port.js';
import { inTransaction, type InboxTransaction, runStatement } from './inbox-transaction.js';
import { storableText, storableWaitMs } from './storable.js';
import { storedKeyOf } from './stored-key.js';

/** The chain of one key. */
interface Chain {
  readonly topic: string;
  readonly key: string;
}

/** The first event of a chain, and how often it has failed. */
interface Head {
  readonly arrival: Arrival;
  readonly attempts: number;
}

interface Failure {
  readonly verdict: HoldVerdict;
  readonly arrival: Arrival;
}

/** What became of the head of a chain. `free`: nothing is due there, or another member is at it. */
type Release =
  | { readonly kind: 'free' }
  | { readonly kind: 'applied'; readonly isLast: boolean }
  | ({ readonly kind: 'failed' } & Failure);

const CHAINS_PER_ROUND = 20;
const EVENTS_PER_ROUND = 200;
/** Another member may hold a key at any time. */
const LOOK_AGAIN_MS = 5_000;
/** What is due and was not ours to try is in another member's hands. */
const BUSY_MS = 250;
/** For a verdict whose wait is no number. */
const USUAL_WAIT_MS = 1_000;

/** The events of one consumer that are set aside, in a chain per key. */
export class HeldChains {
  constructor(
    private readonly dataSource: DataSource,
    private readonly consumer: string,
  ) {}

  /** Makes the chain of a key, in the transaction that claimed its first event. */
  async begin(transaction: InboxTransaction, arrival: Arrival, verdict: HoldVerdict): Promise<void> {
    await transaction.run({
      text: ADD_KEY,
      values: [this.consumer, arrival.delivery.topic, storedKeyOf(arrival), ...verdictParameters(verdict)],
    });
    await this.append(transaction, arrival);
  }

  /** Adds an event to a chain whose key this transaction has locked. */
  async append(transaction: InboxTransaction, arrival: Arrival): Promise<void> {
    await transaction.run({ text: ADD_EVENT, values: heldParameters(this.consumer, arrival) });
  }

  /**
   * Tries the heads of the chains that are due; at most 200 events in 20 chains per call. A chain that cannot be dealt with
   * keeps no other from its turn: rejects at the end, with the first such error, or at once when there is no connection.
   */
  async releaseDue(handle: Handle, judge: JudgeRetry): Promise<ReleaseReport> {
    const { rows: chains } = await runStatement<Chain & Record<string, unknown>>(this.dataSource, {
      text: DUE_KEYS,
      values: [this.consumer, CHAINS_PER_ROUND],
    });
    const failures: Failure[] = [];
    const errors: unknown[] = [];
    let applied = 0;
    for (const chain of chains) {
      try {
        const released = await this.releaseChain(chain, EVENTS_PER_ROUND - applied, handle, judge);
        applied += released.applied;
        failures.push(...released.failures);
      } catch (error) {
        errors.push(refuseUnlessThere(error));
      }
    }
    if (errors.length > 0) {
      throw errors[0];
    }
    const isIdle = applied === 0 && failures.length === 0;
    return reportOf(applied, failures, await this.nextDueInMs(isIdle ? BUSY_MS : 0));
  }

  async count(): Promise<{ readonly held: number; readonly parked: number; readonly heldKeys: number }> {
    const { rows } = await runStatement<{ held: number; parked: number; held_keys: number }>(this.dataSource, {
      text: COUNT_SET_ASIDE,
      values: [this.consumer],
    });
    const [row] = rows;
    return { held: row?.held ?? 0, parked: row?.parked ?? 0, heldKeys: row?.held_keys ?? 0 };
  }

  /** Up to its end, its first failure or `eventsMax`. */
  private async releaseChain(
    chain: Chain,
    eventsMax: number,
    handle: Handle,
    judge: JudgeRetry,
  ): Promise<{ readonly applied: number; readonly failures: readonly Failure[] }> {
    for (let applied = 0; applied < eventsMax; applied++) {
      const release = await this.releaseHead(chain, handle, judge);
      switch (release.kind) {
        case 'free':
          return { applied, failures: [] };
        case 'failed':
          return { applied, failures: [release] };
        case 'applied':
          if (release.isLast) {
            return { applied: applied + 1, failures: [] };
          }
      }
    }
    return { applied: eventsMax, failures: [] };
  }

  /**
   * One event, one transaction, under the lock of its key from the first look to the commit: so arrivals of the key wait
   * and then see whether there still is a chain.
   */
  private async releaseHead(chain: Chain, handle: Handle, judge: JudgeRetry): Promise<Release> {
    const found: { head: Head | null } = { head: null };
    try {
      return await inTransaction(this.dataSource, async (transaction) => {
        const head = await this.lockHead(transaction, chain);
        if (head === null) {
          return { kind: 'free' };
        }
        found.head = head;
        await handle(head.arrival, transaction);
        return { kind: 'applied', isLast: await this.removeHead(transaction, chain, head) };
      });
    } catch (error) {
      if (found.head === null) {
        return refuseUnlessBusy(error);
      }
      return await this.holdHead(chain, found.head, judge(error, found.head.attempts + 1));
    }
  }

  /** The head of a chain that is due, with its key locked; null when nothing is due or another member is at it. */
  private async lockHead(transaction: InboxTransaction, chain: Chain): Promise<Head | null> {
    const names = this.namesOf(chain);
    const turn = await transaction.run<{ is_ours: boolean }>({ text: TRY_CHAIN, values: names });
    if (turn.rows[0]?.is_ours !== true) {
      return null;
    }
    const key = await transaction.run<{ attempts: number }>({ text: LOCK_KEY, values: names });
    const head = await transaction.run<HeldRow & Record<string, unknown>>({ text: HEAD, values: names });
    const attempts = key.rows[0]?.attempts;
    const [row] = head.rows;
    return attempts === undefined || row === undefined ? null : { attempts, arrival: arrivalOf(row) };
  }

  /** True when the chain has ended with it. */
  private async removeHead(transaction: InboxTransaction, chain: Chain, { arrival }: Head): Promise<boolean> {
    await transaction.run({ text: REMOVE_EVENT, values: [this.consumer, arrival.id] });
    const { rowCount } = await transaction.run({ text: REMOVE_KEY_IF_EMPTY, values: this.namesOf(chain) });
    if (rowCount === 1) {
      return true;
    }
    await transaction.run({ text: NEXT_HEAD, values: this.namesOf(chain) });
    return false;
  }

  /** Its transaction was rolled back and its lock with it: another member may have tried, or applied, it since. */
  private async holdHead(chain: Chain, failed: Head, verdict: HoldVerdict): Promise<Release> {
    return await inTransaction(this.dataSource, async (transaction) => {
      const head = await this.lockHead(transaction, chain);
      if (head?.arrival.id !== failed.arrival.id || head.attempts !== failed.attempts) {
        return { kind: 'free' };
      }
      const attempts = isCounted(verdict) ? head.attempts + 1 : head.attempts;
      const [status, retryInMs, code, reason] = verdictParameters(verdict);
      await transaction.run({
        text: HOLD_HEAD,
        values: [...this.namesOf(chain), status, attempts, retryInMs, code, reason],
      });
      return { kind: 'failed', verdict, arrival: head.arrival };
    });
  }

  private namesOf({ topic, key }: Chain): string[] {
    return [this.consumer, topic, key];
  }

  private async nextDueInMs(minMs: number): Promise<number | null> {
    const { rows } = await runStatement<{ due_in_ms: number | null }>(this.dataSource, {
      text: NEXT_DUE,
      values: [this.consumer],
    });
    const dueInMs = rows[0]?.due_in_ms ?? null;
    return dueInMs === null ? null : Math.min(Math.max(dueInMs, minMs), LOOK_AGAIN_MS);
  }
}

/** Without a connection there is no next chain to try. */
function refuseUnlessThere(error: unknown): unknown {
  if (error instanceof InboxError && error.code === 'unavailable') {
    throw error;
  }
  return error;
}

const LOCK_NOT_AVAILABLE = '55P03';

/** An arrival of the key is at work for longer than the lock timeout: the chain's turn comes again. */
function refuseUnlessBusy(error: unknown): Release {
  if (error instanceof Error && 'code' in error && error.code === LOCK_NOT_AVAILABLE) {
    return { kind: 'free' };
  }
  throw error;
}

function isCounted(verdict: HoldVerdict): boolean {
  return verdict.kind === 'parked' || verdict.isFree !== true;
}

/** Status, milliseconds until the next try, code, reason. */
function verdictParameters(verdict: HoldVerdict): readonly [string, number | null, string, string] {
  const retryInMs = verdict.kind === 'held' ? storableWaitMs(verdict.retryInMs, USUAL_WAIT_MS) : null;
  return [verdict.kind, retryInMs, storableText(verdict.code), storableText(verdict.reason)];
}

function reportOf(applied: number, failures: readonly Failure[], nextDueInMs: number | null): ReleaseReport {
  const parked = failures.filter(({ verdict }) => verdict.kind === 'parked');
  return {
    applied,
    heldAgain: failures.length - parked.length,
    parked: parked.map(({ verdict, arrival }) => ({
      id: arrival.id,
      topic: arrival.delivery.topic,
      key: arrival.key,
      code: verdict.code,
    })),
    nextDueInMs,
  };
}
