import { type CaptureClock } from '../capture-clock.js';
import { type SlotStatus } from '../capture-port.js';
import { Heartbeat } from './heartbeat.js';
import { type SlotExpectation, type SlotHealth } from './slot-health.js';
import { type SlotKeeper } from './slot-keeper.js';
import { describeKeeper, type SlotKeeperState } from './slot-keeper-state.js';
import {
  describeLetGo,
  heldBytes,
  slotKept,
  slotLimit,
  type SlotLimitDecision,
  type SlotLimitOptions,
  type SlotLimitState,
  type SlotPressure,
} from './slot-limit.js';
import { type SlotFacts, type SlotReading } from './slot-reading.js';

const LOOK_MS = 10_000;

/** What the watch uses of a keeper. */
export type WatchedKeeper = Pick<SlotKeeper, 'state' | 'check' | 'emitHeartbeat'>;

/** How the slot is used at the moment of a look. */
export interface SlotUse extends Pick<SlotExpectation, 'ourPid' | 'confirmedLsn'> {
  /** The route has read to the end lately. */
  readonly isCaughtUp: boolean;
}

/** What came of a look. */
export type SlotLook =
  | { readonly kind: 'not-due' }
  | { readonly kind: 'looked'; readonly health: SlotHealth }
  /** The slot holds more WAL than it may: it has to be let go. */
  | { readonly kind: 'over-limit'; readonly reason: string }
  /** The route may have a slot again that was let go for its limit. */
  | { readonly kind: 'return' };

/** Looks at the slot every ten seconds, in whatever state it is: limit, heartbeat, numbers for status and metrics. */
export class SlotWatch {
  private lookedAtMs: number;
  private slot: SlotFacts | null = null;
  /** What the keeper was at when it was looked. */
  private lookedDuring: unknown = null;
  private walLsn: bigint | null = null;
  private isHigh = false;
  private limit: SlotLimitState;
  private readonly heartbeat: Heartbeat;

  constructor(
    private readonly keeper: WatchedKeeper,
    private readonly clock: CaptureClock,
    private readonly limitOptions: SlotLimitOptions,
  ) {
    this.lookedAtMs = clock.nowMs();
    this.limit = slotKept(limitOptions, this.lookedAtMs);
    this.heartbeat = new Heartbeat(() => keeper.emitHeartbeat());
  }

  /** One look at a time. A look that fails is no verdict: who is without a database hears of it elsewhere. */
  async lookWhenDue(use: () => SlotUse): Promise<SlotLook> {
    if (this.clock.nowMs() - this.lookedAtMs < LOOK_MS) {
      return { kind: 'not-due' };
    }
    this.lookedAtMs = this.clock.nowMs();
    try {
      return await this.look(use);
    } catch {
      return { kind: 'not-due' };
    }
  }

  /** The WAL's end lay so far behind `lsn` at the last look, in bytes. */
  walBehind(lsn: bigint): bigint {
    return this.walLsn === null || this.walLsn < lsn ? 0n : this.walLsn - lsn;
  }

  /** For status and metrics; `confirmedLsn` while a stream is open. A look at a slot that was made anew since is forgotten. */
  status(confirmedLsn: bigint | null): SlotStatus {
    const { state } = this.keeper;
    const slot = this.lookedDuring === workOf(state) ? this.slot : slotOf(state);
    const confirmed = confirmedLsn ?? (slot === null ? null : slot.confirmedFlushLsn);
    return {
      ...keptSlotStatus(state),
      ...(slot === null ? NO_SLOT : numbersOf(slot)),
      ...(confirmedLsn !== null && { inactiveSince: null }),
      confirmedLsn: confirmed,
      lagBytes: confirmed === null || this.walLsn === null ? null : this.walBehind(confirmed),
      isHigh: this.isHigh,
    };
  }

  private async look(use: () => SlotUse): Promise<SlotLook> {
    const { state } = this.keeper;
    const { reading, health } = await this.keeper.check(use);
    const nowMs = this.clock.nowMs();
    this.remember(reading, health);
    this.lookedDuring = workOf(state);
    const decision = this.decide({ nowMs, ...heldBytes(reading.slots), isCaughtUp: use().isCaughtUp });
    if (decision.kind === 'let-go') {
      return { kind: 'over-limit', reason: describeLetGo(decision) };
    }
    if (decision.kind === 'return') {
      return decision;
    }
    if (health.kind === 'ready' && health.slot.confirmedFlushLsn !== null && reading.walLsn !== null) {
      await this.heartbeat.look({ nowMs, confirmedLsn: health.slot.confirmedFlushLsn, walLsn: reading.walLsn });
    }
    return { kind: 'looked', health };
  }

  private decide(pressure: SlotPressure): SlotLimitDecision {
    const { state, decision } = slotLimit(this.limit, pressure, this.limitOptions);
    this.limit = state;
    this.isHigh = decision.kind === 'high';
    return decision;
  }

  private remember(reading: SlotReading, health: SlotHealth): void {
    this.walLsn = reading.walLsn;
    this.slot = health.kind === 'ready' ? health.slot : (reading.slots[0] ?? null);
  }
}

/** What is known of a slot that nobody has looked at but its keeper. */
export function keptSlotStatus(state: SlotKeeperState): SlotStatus {
  return {
    ...NO_SLOT,
    state: state.kind === 'held-up' ? state.health.kind : state.kind,
    message: describeKeeper(state),
    confirmedLsn: null,
    lagBytes: null,
    isHigh: false,
  };
}

/** The same for as long as the keeper has made nothing of the slot. */
function workOf(state: SlotKeeperState): unknown {
  if (state.kind === 'ready') {
    return state.slot;
  }
  return state.kind === 'creating' ? state.sinceMs : state.kind;
}

function slotOf(state: SlotKeeperState): SlotFacts | null {
  return state.kind === 'ready' ? state.slot : null;
}

type SlotNumbers = Omit<SlotStatus, 'state' | 'message' | 'confirmedLsn' | 'lagBytes' | 'isHigh'>;

const NO_SLOT: SlotNumbers = {
  name: null,
  retainedBytes: null,
  safeWalBytes: null,
  walStatus: null,
  inactiveSince: null,
  spilledTransactions: null,
  spilledBytes: null,
};

function numbersOf({ name, retainedBytes, safeWalBytes, walStatus, inactiveSince, spill }: SlotFacts): SlotNumbers {
  return {
    name,
    retainedBytes,
    safeWalBytes,
    walStatus,
    inactiveSince,
    spilledTransactions: spill === null ? null : spill.spilledTransactions,
    spilledBytes: spill === null ? null : spill.spilledBytes,
  };
}
