import { type RelayClock, type RelayTimer } from '../relay-clock.js';

interface FakeTimer {
  readonly atMs: number;
  readonly run: () => void;
}

/** A clock that moves when a test says so. */
export class FakeClock implements RelayClock {
  private nowMs = 0;
  private readonly timers = new Set<FakeTimer>();
  private wallAheadMs = 1_800_000_000_000;

  get timersSet(): number {
    return this.timers.size;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs + this.wallAheadMs;
  }

  setWallAhead(byMs: number): void {
    this.wallAheadMs += byMs;
  }

  after(delayMs: number, run: () => void): RelayTimer {
    const timer = { atMs: this.nowMs + delayMs, run };
    this.timers.add(timer);
    return {
      cancel: () => {
        this.timers.delete(timer);
      },
    };
  }

  /** Runs all that is due within `ms`, in order, each with all that it sets off. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await settled();
    for (let timer = this.next(endMs); timer !== undefined; timer = this.next(endMs)) {
      this.timers.delete(timer);
      this.nowMs = Math.max(this.nowMs, timer.atMs);
      timer.run();
      await settled();
    }
    this.nowMs = endMs;
  }

  /** The process stands still: time goes on, no timer runs. */
  freeze(ms: number): void {
    this.nowMs += ms;
  }

  private next(endMs: number): FakeTimer | undefined {
    return [...this.timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
  }
}

/** Resolves when promises have nothing more to do. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
