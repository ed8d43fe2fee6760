/** A timer that has been set. */
export interface RelayTimer {
  /** Idempotent; after it returns the timer never runs. */
  cancel(): void;
}

/** All that the engine knows of time. Whoever freezes or fakes it freezes or fakes the engine. */
export interface RelayClock {
  /** Milliseconds from an arbitrary origin; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Runs `run` once, `delayMs` from now or later. */
  after(delayMs: number, run: () => void): RelayTimer;
}

/** Where jitter comes from. */
export interface RelayRandom {
  /** A number from 0 (included) to 1 (excluded). */
  next(): number;
}

/** The process's own clock. */
export const systemRelayClock: RelayClock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
};

/** The process's own source of randomness; not for secrets. */
export const systemRelayRandom: RelayRandom = { next: () => Math.random() };
