import { type RelayClock } from '@millrace/relay';
import { BEGINS_AT_MS, type VirtualTime } from './virtual-time.js';

/** How a process sees time, and how far away its servers are. */
export interface ProcessTraits {
  /** Its clock runs at this speed: 1 is true. */
  readonly clockSpeed: number;
  readonly random: () => number;
}

/** One way of a message: how long it takes, or that it is lost. */
export type Travel = number | 'lost';

/** A request to a server: what it does when it arrives, and what may happen to it on the way. */
export interface RemoteCall<T> {
  readonly there: Travel;
  readonly back: Travel;
  /** Runs on the server, at one moment of true time. */
  readonly serve: () => T;
  /** The caller gives up after so long by its own clock. */
  readonly timeoutMs: number;
  readonly timeoutError: () => Error;
}

/**
 * A process that can be killed or frozen at any moment. All that ever wakes the code inside it passes through here:
 * dead, it is never woken again; frozen, it wakes late and finds the clock far ahead.
 */
export class SimProcess {
  private isDead = false;
  private frozenUntilMs = 0;
  private wallOffsetMs = 0;
  private readonly bornMs: number;

  constructor(
    readonly name: string,
    private readonly time: VirtualTime,
    private readonly traits: ProcessTraits,
  ) {
    this.bornMs = time.nowMs;
  }

  get isAlive(): boolean {
    return !this.isDead;
  }

  kill(): void {
    this.isDead = true;
  }

  freeze(durationMs: number): void {
    this.frozenUntilMs = Math.max(this.frozenUntilMs, this.time.nowMs + durationMs);
  }

  /** The wall clock of the machine is set. */
  jumpWall(byMs: number): void {
    this.wallOffsetMs += byMs;
  }

  readonly clock: RelayClock = {
    monotonicMs: () => (this.time.nowMs - this.bornMs) * this.traits.clockSpeed,
    wallMs: () => BEGINS_AT_MS + this.time.nowMs + this.wallOffsetMs,
    after: (delayMs, run) =>
      this.time.in(delayMs / this.traits.clockSpeed, () => {
        this.wake(run);
      }),
  };

  call<T>(call: RemoteCall<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = this.clock.after(call.timeoutMs, () => {
        reject(call.timeoutError());
      });
      if (call.there === 'lost') {
        return;
      }
      this.time.in(call.there, () => {
        const answer = attempt(call.serve);
        if (call.back === 'lost') {
          return;
        }
        this.time.in(call.back, () => {
          this.wake(() => {
            timer.cancel();
            if (answer.kind === 'value') {
              resolve(answer.value);
            } else {
              reject(answer.error);
            }
          });
        });
      });
    });
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(delayMs, resolve);
    });
  }

  private wake(run: () => void): void {
    if (this.isDead) {
      return;
    }
    if (this.time.nowMs < this.frozenUntilMs) {
      // what came during the freeze is found in no particular order
      this.time.in(this.frozenUntilMs - this.time.nowMs + this.traits.random(), () => {
        this.wake(run);
      });
      return;
    }
    run();
  }
}

type Answer<T> = { readonly kind: 'value'; readonly value: T } | { readonly kind: 'error'; readonly error: Error };

function attempt<T>(serve: () => T): Answer<T> {
  try {
    return { kind: 'value', value: serve() };
  } catch (error) {
    if (error instanceof Error) {
      return { kind: 'error', error };
    }
    throw error;
  }
}
