/** Time as the capture uses it; a simulation brings its own. */
export interface CaptureClock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

/** The process's own monotonic clock. */
export const systemClock: CaptureClock = {
  nowMs: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};
