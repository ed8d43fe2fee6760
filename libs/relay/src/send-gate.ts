import { type RelayClock } from './relay-clock.js';

interface OpenSend {
  readonly route: string;
  readonly sinceMs: number;
  readonly done: Promise<void>;
}

/** A send that has just been made, and for which route. */
export interface SendUnderWay {
  readonly route: string;
  readonly call: Promise<unknown>;
}

/**
 * The sends to one sink that have had no answer yet, at most one per lane: routes that share a lane take turns, and a
 * send whose claim was lost keeps its lane until it has ended.
 */
export class SendGate {
  private readonly open = new Map<string, OpenSend>();

  constructor(private readonly clock: RelayClock) {}

  /** Resolves when the lane is free; `null` when it is free now. */
  whenFree(laneId: string): Promise<void> | null {
    return this.open.get(laneId)?.done ?? null;
  }

  /** Holds the lane until the send has ended, one way or the other. */
  enter(laneId: string, { route, call }: SendUnderWay): void {
    const leave = (): void => {
      this.open.delete(laneId);
    };
    this.open.set(laneId, { route, sinceMs: this.clock.monotonicMs(), done: call.then(leave, leave) });
  }

  /** How many sends of `route` have had no answer yet. */
  countOf(route: string): number {
    return [...this.open.values()].filter((send) => send.route === route).length;
  }

  /** Milliseconds for which the oldest send of `route` has been waiting; 0 when it has none. */
  oldestMs(route: string): number {
    // a Map keeps the order of insertion, so the first one found is the oldest
    for (const send of this.open.values()) {
      if (send.route === route) {
        return this.clock.monotonicMs() - send.sinceMs;
      }
    }
    return 0;
  }
}
