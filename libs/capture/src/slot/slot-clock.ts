import { setTimeout as sleep } from 'node:timers/promises';

/** Time as the care of a slot uses it. */
export interface SlotClock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Resolves after `ms`, or as soon as `signal` is aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

/** The process's own clock. */
export const systemSlotClock: SlotClock = {
  nowMs: () => performance.now(),
  pause: async (ms, signal) => {
    await sleep(ms, undefined, { signal }).catch(() => undefined); // it rejects when it is cut short, and with nothing else
  },
};
