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
import { type Arrival, type Handle, type HoldVerdict, type JudgeRetry, type ReleaseReport } from './inbox-port.js';
import { inTransaction, type InboxTransaction, runStatement } from './inbox-transaction.js';
import { storableText, storedKeyOf } from './stored-key.js';

/** The chain of one key. */
interface Chain {
  readonly topic: string;
  readonly key: string;
}

/** What became of the head of a chain. `free`: nothing is due there, or another member is at it. */
type Release =
  | { readonly kind: 'free' }
  | { readonly kind: 'applied'; readonly isLast: boolean }
  | { readonly kind: 'failed'; readonly verdict: HoldVerdict; readonly arrival: Arrival };

const CHAINS_PER_ROUND = 20;
const EVENTS_PER_ROUND = 200;
/** Another member may hold a key at any time. */
const LOOK_AGAIN_MS = 5_000;

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

  /** Tries the heads of the chains that are due; at most 200 events in 20 chains per call. */
  async releaseDue(handle: Handle, judge: JudgeRetry): Promise<ReleaseReport> {
    const { rows: chains } = await runStatement<Chain & Record<string, unknown>>(this.dataSource, {
      text: DUE_KEYS,
      values: [this.consumer, CHAINS_PER_ROUND],
    });
    const failures: { verdict: HoldVerdict; arrival: Arrival }[] = [];
    let applied = 0;
    for (const chain of chains) {
      let release: Release = { kind: 'applied', isLast: false };
      while (release.kind === 'applied' && !release.isLast && applied < EVENTS_PER_ROUND) {
        release = await this.releaseHead(chain, handle, judge);
        applied += release.kind === 'applied' ? 1 : 0;
      }
      if (release.kind === 'failed') {
        failures.push(release);
      }
    }
    return reportOf(applied, failures, await this.nextDueInMs());
  }

  async count(): Promise<{ readonly held: number; readonly parked: number; readonly heldKeys: number }> {
    const { rows } = await runStatement<{ held: number; parked: number; held_keys: number }>(this.dataSource, {
      text: COUNT_SET_ASIDE,
      values: [this.consumer],
    });
    const [row] = rows;
    return { held: row?.held ?? 0, parked: row?.parked ?? 0, heldKeys: row?.held_keys ?? 0 };
  }

  /**
   * One event, one transaction, under the lock of its key from the first look to the commit: so arrivals of the key wait
   * and then see whether there still is a chain. The savepoint keeps that lock when the handler fails; there is only this one.
   */
  private async releaseHead(chain: Chain, handle: Handle, judge: JudgeRetry): Promise<Release> {
    return await inTransaction(this.dataSource, async (transaction) => {
      const names = [this.consumer, chain.topic, chain.key];
      const turn = await transaction.run<{ is_ours: boolean }>({ text: TRY_CHAIN, values: names });
      const locked = turn.rows[0]?.is_ours
        ? await transaction.run<{ attempts: number }>({ text: LOCK_KEY, values: names })
        : null;
      const attempts = locked?.rows[0]?.attempts;
      const head = attempts === undefined ? null : await this.readHead(transaction, names);
      if (attempts === undefined || head === null) {
        return { kind: 'free' };
      }
      const failure = await tryHandle(transaction, head, handle);
      if (failure === null) {
        return { kind: 'applied', isLast: await this.removeHead(transaction, names, head) };
      }
      const verdict = judge(failure.error, attempts + 1);
      await this.holdHead(transaction, names, verdict, isCounted(verdict) ? attempts + 1 : attempts);
      return { kind: 'failed', verdict, arrival: head };
    });
  }

  private async readHead(transaction: InboxTransaction, names: readonly string[]): Promise<Arrival | null> {
    const { rows } = await transaction.run<HeldRow & Record<string, unknown>>({ text: HEAD, values: [...names] });
    return rows[0] === undefined ? null : arrivalOf(rows[0]);
  }

  /** True when the chain has ended with it. */
  private async removeHead(transaction: InboxTransaction, names: readonly string[], head: Arrival): Promise<boolean> {
    await transaction.run({ text: REMOVE_EVENT, values: [this.consumer, head.id] });
    const { rowCount } = await transaction.run({ text: REMOVE_KEY_IF_EMPTY, values: [...names] });
    if (rowCount === 1) {
      return true;
    }
    await transaction.run({ text: NEXT_HEAD, values: [...names] });
    return false;
  }

  private async holdHead(
    transaction: InboxTransaction,
    names: readonly string[],
    verdict: HoldVerdict,
    attempts: number,
  ): Promise<void> {
    const [status, retryInMs, code, reason] = verdictParameters(verdict);
    await transaction.run({ text: HOLD_HEAD, values: [...names, status, attempts, retryInMs, code, reason] });
  }

  private async nextDueInMs(): Promise<number | null> {
    const { rows } = await runStatement<{ due_in_ms: number | null }>(this.dataSource, {
      text: NEXT_DUE,
      values: [this.consumer],
    });
    const dueInMs = rows[0]?.due_in_ms ?? null;
    return dueInMs === null ? null : Math.min(dueInMs, LOOK_AGAIN_MS);
  }
}

async function tryHandle(
  transaction: InboxTransaction,
  arrival: Arrival,
  handle: Handle,
): Promise<{ readonly error: unknown } | null> {
  await transaction.run({ text: 'savepoint millrace_inbox_head' });
  try {
    await handle(arrival, transaction);
    transaction.requireSound();
    return null;
  } catch (error) {
    await transaction.run({ text: 'rollback to savepoint millrace_inbox_head' });
    return { error };
  }
}

function isCounted(verdict: HoldVerdict): boolean {
  return verdict.kind === 'parked' || verdict.isFree !== true;
}

/** Status, milliseconds until the next try, code, reason. */
function verdictParameters(verdict: HoldVerdict): readonly [string, number | null, string, string] {
  const retryInMs = verdict.kind === 'held' ? Math.max(0, Math.round(verdict.retryInMs)) : null;
  return [verdict.kind, retryInMs, storableText(verdict.code), storableText(verdict.reason)];
}

function reportOf(
  applied: number,
  failures: readonly { readonly verdict: HoldVerdict; readonly arrival: Arrival }[],
  nextDueInMs: number | null,
): ReleaseReport {
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
