import { type CaptureError } from '../capture.errors.js';
import { describeSlot, type SlotHealth } from './slot-health.js';
import { type SlotFacts, type SlotWaiter } from './slot-reading.js';

/** How the making of a route's slot goes; `describeKeeper` says it in a sentence. */
export type SlotKeeperState =
  /** Nothing is to be done. */
  | { readonly kind: 'idle' }
  /** Told to do something, and no look at the slot yet. */
  | { readonly kind: 'looking' }
  /** Being made by a backend of ours; it may wait for hours for a transaction that was open before. */
  | {
      readonly kind: 'creating';
      readonly name: string;
      /** `null` until the backend has been seen at it. */
      readonly pid: number | null;
      readonly waitingFor: SlotWaiter | null;
      /** Monotonic milliseconds at which it began. */
      readonly sinceMs: number;
    }
  /** It is there; `slot.confirmedFlushLsn` is where its stream begins. */
  | { readonly kind: 'ready'; readonly slot: SlotFacts }
  /** Something stands in the way; looked at again in `retryInMs`. */
  | { readonly kind: 'held-up'; readonly health: SlotHealth; readonly retryInMs: number }
  /** A statement failed; tried again in `retryInMs`, or not at all when another relay has the route (`null`). */
  | { readonly kind: 'failed'; readonly error: CaptureError; readonly retryInMs: number | null }
  /** Dropped on purpose. */
  | { readonly kind: 'let-go'; readonly reason: string };

/** A sentence for log and status. */
export function describeKeeper(state: SlotKeeperState): string {
  switch (state.kind) {
    case 'idle':
      return 'The slot is not looked after.';
    case 'looking':
      return 'The slot is being looked at.';
    case 'creating':
      return state.pid === null
        ? `Slot ${state.name} is being made.`
        : describeSlot<'creating'>({ ...state, pid: state.pid });
    case 'ready':
      return describeSlot(state);
    case 'held-up':
      return describeSlot(state.health);
    case 'failed':
      return state.error.message;
    case 'let-go':
      return state.reason;
  }
}

/** True when a person or a log would want to hear of it: ages and waits grow without news, and a look is none yet. */
export function isNews(before: SlotKeeperState, after: SlotKeeperState): boolean {
  return after.kind !== 'looking' && newsOf(before) !== newsOf(after);
}

function newsOf(state: SlotKeeperState): string {
  switch (state.kind) {
    case 'creating':
      return `creating ${state.name} ${nameOf(state.waitingFor)}`;
    case 'ready':
      return `ready ${state.slot.name}`;
    case 'held-up':
      return `held-up ${state.health.kind}`;
    case 'failed':
      return `failed ${state.error.code}`;
    case 'idle':
    case 'looking':
    case 'let-go':
      return state.kind;
  }
}

function nameOf(waiter: SlotWaiter | null): string {
  return waiter?.preparedAs ?? String(waiter?.pid);
}
