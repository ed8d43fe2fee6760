import { type SlotFacts } from './slot-reading.js';

/** When a route lets its slot go, so that the WAL which it holds never fills the producer's disk. */
export interface SlotLimitOptions {
  /** The most WAL that the slot may hold, in bytes. */
  readonly retainedBytesMax: bigint;
  /** How long the route polls before it has a slot again; doubled each time, up to `awayMaxMs`. */
  readonly awayMs: number;
  readonly awayMaxMs: number;
  /** A slot that has been kept for so long starts again at `awayMs`. */
  readonly forgivenAfterMs: number;
}

export const DEFAULT_SLOT_LIMIT: SlotLimitOptions = {
  retainedBytesMax: 10n * 1024n ** 3n,
  awayMs: 60_000,
  awayMaxMs: 30 * 60_000,
  forgivenAfterMs: 60 * 60_000,
};

/** What a look at the slot showed. */
export interface SlotPressure {
  readonly nowMs: number;
  /** `null`: there is no slot, or nothing is held for it. */
  readonly retainedBytes: bigint | null;
  /** Bytes until the server itself may give the slot up; `null` when `max_slot_wal_keep_size` is not set. */
  readonly safeWalBytes: bigint | null;
  /** The route has read the table to its end lately: a slot that is made now would not fall behind at once. */
  readonly isCaughtUp: boolean;
}

/**
 * What the slots of a route hold: the most that one of them does. One that is still being made counts, and may wait for
 * hours behind an open transaction; so does one that is outdated and about to be dropped.
 */
export function heldBytes(slots: readonly SlotFacts[]): Pick<SlotPressure, 'retainedBytes' | 'safeWalBytes'> {
  let most: SlotFacts | undefined;
  for (const slot of slots) {
    most = (slot.retainedBytes ?? 0n) >= (most?.retainedBytes ?? 0n) ? slot : most;
  }
  return { retainedBytes: most?.retainedBytes ?? null, safeWalBytes: most?.safeWalBytes ?? null };
}

/** What the rule remembers. */
export type SlotLimitState =
  | { readonly kind: 'kept'; readonly sinceMs: number; readonly isHigh: boolean; readonly awayMs: number }
  | { readonly kind: 'let-go'; readonly sinceMs: number; readonly awayMs: number };

/** What to do now. `high` is an alarm; `return` is given once, `let-go` until the slot is gone, the others at each look. */
export type SlotLimitDecision =
  | { readonly kind: 'keep' }
  | { readonly kind: 'high'; readonly retainedBytes: bigint; readonly limitBytes: bigint }
  | { readonly kind: 'let-go'; readonly retainedBytes: bigint; readonly limitBytes: bigint }
  | { readonly kind: 'stay-away' }
  | { readonly kind: 'return' };

interface SlotLimitStep {
  readonly state: SlotLimitState;
  readonly decision: SlotLimitDecision;
}

/** The state at a claim. */
export function slotKept(options: SlotLimitOptions, nowMs: number): SlotLimitState {
  return { kind: 'kept', sinceMs: nowMs, isHigh: false, awayMs: options.awayMs };
}

/**
 * The limit in force: what is configured, or nine tenths of what the server allows where that is less, so that the
 * route lets go in order before the server does it in the middle of a transaction.
 */
export function limitBytes(options: SlotLimitOptions, { retainedBytes, safeWalBytes }: SlotPressure): bigint {
  if (safeWalBytes === null) {
    return options.retainedBytesMax;
  }
  const ofServer = (((retainedBytes ?? 0n) + (safeWalBytes > 0n ? safeWalBytes : 0n)) * 9n) / 10n;
  return ofServer < options.retainedBytesMax ? ofServer : options.retainedBytesMax;
}

/**
 * The rule. The alarm rises at half of the limit and falls at two fifths. At the limit the slot goes at once: a disk that
 * is full stops the producers, a slot that is gone costs a hand-over. It comes back when the time away has passed and
 * the table is read to its end; each time in a row the time away doubles, so that a route that cannot keep up with its
 * slot (a sink that is too slow, a transaction that stays open) polls.
 */
export function slotLimit(state: SlotLimitState, pressure: SlotPressure, options: SlotLimitOptions): SlotLimitStep {
  if (state.kind === 'kept') {
    return keptLimit(state, pressure, options);
  }
  const over = overLimit(state.awayMs, pressure, options);
  if (over !== null) {
    return over; // it could not be dropped, or somebody has asked for a new one
  }
  const isOver = pressure.nowMs - state.sinceMs >= state.awayMs && pressure.isCaughtUp;
  return isOver
    ? {
        state: { kind: 'kept', sinceMs: pressure.nowMs, isHigh: false, awayMs: doubled(state.awayMs, options) },
        decision: { kind: 'return' },
      }
    : { state, decision: { kind: 'stay-away' } };
}

function overLimit(awayMs: number, pressure: SlotPressure, options: SlotLimitOptions): SlotLimitStep | null {
  const retainedBytes = pressure.retainedBytes ?? 0n;
  const limit = limitBytes(options, pressure);
  return retainedBytes >= limit && retainedBytes > 0n
    ? {
        state: { kind: 'let-go', sinceMs: pressure.nowMs, awayMs },
        decision: { kind: 'let-go', retainedBytes, limitBytes: limit },
      }
    : null;
}

function keptLimit(
  state: Extract<SlotLimitState, { kind: 'kept' }>,
  pressure: SlotPressure,
  options: SlotLimitOptions,
): SlotLimitStep {
  const awayMs = pressure.nowMs - state.sinceMs >= options.forgivenAfterMs ? options.awayMs : state.awayMs;
  const over = overLimit(awayMs, pressure, options);
  if (over !== null) {
    return over;
  }
  const retainedBytes = pressure.retainedBytes ?? 0n;
  const limit = limitBytes(options, pressure);
  const isHigh = retainedBytes * 10n >= limit * (state.isHigh ? 4n : 5n) && retainedBytes > 0n;
  return {
    state: { ...state, isHigh, awayMs },
    decision: isHigh ? { kind: 'high', retainedBytes, limitBytes: limit } : { kind: 'keep' },
  };
}

function doubled(awayMs: number, { awayMaxMs }: SlotLimitOptions): number {
  return Math.min(awayMaxMs, awayMs * 2);
}

/** The sentence for log, metric and status. */
export function describeLetGo(decision: Extract<SlotLimitDecision, { kind: 'high' | 'let-go' }>): string {
  const amount = `${mebibytes(decision.retainedBytes)} of WAL, and its limit is ${mebibytes(decision.limitBytes)}`;
  return decision.kind === 'let-go'
    ? `The slot was let go because it held ${amount}: nothing is lost, the route goes on by polling and takes a slot again when it has caught up. Look for a slow sink, or for a transaction that stays open.`
    : `The slot holds ${amount}; above that it is let go. Look for a slow sink, or for a transaction that stays open.`;
}

function mebibytes(bytes: bigint): string {
  return `${(bytes + 524_288n) / 1_048_576n} MiB`;
}
