/** All that a consumer knows of time and chance; specs bring their own. */
export interface InboxClock {
  /** Milliseconds from an arbitrary origin; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Runs `run` once, `delayMs` from now or later. The result cancels it, any number of times. */
  after(delayMs: number, run: () => void): () => void;
  /** A number from 0 (included) to 1 (excluded); not for secrets. */
  random(): number;
}

/** The process's own. */
export const systemInboxClock: InboxClock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
  random: () => Math.random(),
};

/** Doubling from `minMs` up to `maxMs` with the `attempt`-th failure (1, 2 ...); the upper half of it is random. */
export function backoffMs(attempt: number, minMs: number, maxMs: number, clock: InboxClock): number {
  const full = Math.min(maxMs, minMs * 2 ** Math.min(attempt - 1, 30));
  return full / 2 + (full / 2) * clock.random();
}

/** Resolves after `waitMs`, or when `signal` is aborted before. */
export function pause(clock: InboxClock, waitMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(waitMs, end);
    if (signal.aborted) {
      end();
    } else {
      signal.addEventListener('abort', end);
    }
  });
}
