import { type RelayClock, type RelayTimer } from '../relay-clock.js';

/** The clock of one process: it can be killed (nothing wakes it again) or frozen (what was due runs when it thaws). */
export class MortalClock implements RelayClock {
  private isDead = false;
  private isFrozen = false;
  private due: (() => void)[] = [];

  constructor(private readonly time: RelayClock) {}

  monotonicMs(): number {
    return this.time.monotonicMs();
  }

  wallMs(): number {
    return this.time.wallMs();
  }

  after(delayMs: number, run: () => void): RelayTimer {
    let isCancelled = false;
    const timer = this.time.after(delayMs, () => {
      const wake = (): void => {
        if (!isCancelled) {
          run();
        }
      };
      if (this.isFrozen) {
        this.due.push(wake);
      } else if (!this.isDead) {
        wake();
      }
    });
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }

  kill(): void {
    this.isDead = true;
  }

  freeze(): void {
    this.isFrozen = true;
  }

  thaw(): void {
    this.isFrozen = false;
    for (const wake of this.due.splice(0)) {
      wake();
    }
  }
}
