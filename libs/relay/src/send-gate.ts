import { type RelayClock } from './relay-clock.js';

interface OpenSend {
  readonly sinceMs: number;
  readonly done: Promise<void>;
}

/**
 * The sends of one route that have had no answer yet, at most one per lane. Outlives a claim: a send whose claim was
 * lost may still be under way when the route is claimed again, and its lane must wait for it.
 */
export class SendGate {
  private readonly open = new Map<string, OpenSend>();

  constructor(private readonly clock: RelayClock) {}

  /** Resolves when the lane is free; `null` when it is free now. */
  whenFree(laneId: string): Promise<void> | null {
    return this.open.get(laneId)?.done ?? null;
  }

  /** Holds the lane until `send` has ended, one way or the other. */
  enter(laneId: string, send: Promise<unknown>): void {
    const leave = (): void => {
      this.open.delete(laneId);
    };
    this.open.set(laneId, { sinceMs: this.clock.monotonicMs(), done: send.then(leave, leave) });
  }

  /** Milliseconds for which the oldest send has been waiting; 0 when there is none. */
  oldestMs(): number {
    // a Map keeps the order of insertion, so the first send is the oldest
    const [first] = this.open.values();
    return first === undefined ? 0 : this.clock.monotonicMs() - first.sinceMs;
  }
}
