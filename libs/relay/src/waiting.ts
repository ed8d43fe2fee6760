import { type RelayClock } from './relay-clock.js';

/** Resolves after `delayMs`, or at once when `signal` is or becomes aborted. */
export function sleep(clock: RelayClock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const finish = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.after(delayMs, finish);
    signal.addEventListener('abort', finish);
  });
}

/** A limit on how long to wait for a call that may never answer. */
export interface Deadline {
  readonly clock: RelayClock;
  readonly ms: number;
  /** Ends the wait early, with the same error. */
  readonly signal: AbortSignal;
  /** The error to reject with. */
  readonly error: () => Error;
}

/** The outcome of `call`, or a rejection with `deadline.error()`; what the call does later is ignored. */
export function withDeadline<T>(call: Promise<T>, deadline: Deadline): Promise<T> {
  const { clock, ms, signal } = deadline;
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      leave();
      reject(deadline.error());
    };
    const timer = clock.after(ms, giveUp);
    const leave = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', giveUp);
    };
    signal.addEventListener('abort', giveUp);
    call.then(
      (value) => {
        leave();
        resolve(value);
      },
      (error: unknown) => {
        leave();
        reject(error instanceof Error ? error : new Error('a call failed with something that is no Error'));
      },
    );
    if (signal.aborted) {
      giveUp();
    }
  });
}
