import { type Lane } from './lane.js';
import { type RelayClock } from './relay-clock.js';

/**
 * Which lanes are behind: those that have something to send, and of which nothing was confirmed for `behindAfterMs`. Others
 * do not wait for them; with the next answer of the sink a lane is one of the others again.
 */
export class LaneDelays {
  private readonly waitingSince = new Map<Lane, number>();
  private readonly late = new Set<Lane>();

  constructor(
    private readonly clock: RelayClock,
    private readonly behindAfterMs: number,
  ) {}

  /** How many lanes are behind. */
  get behind(): number {
    return this.late.size;
  }

  /** What is first in the lane waits for the sink from now on, if it does not yet. */
  waits(lane: Lane): void {
    if (!this.waitingSince.has(lane)) {
      this.waitingSince.set(lane, this.clock.monotonicMs());
    }
  }

  /** The sink has answered for what was first in the lane. */
  answered(lane: Lane): void {
    this.waitingSince.delete(lane);
    if (this.late.delete(lane)) {
      lane.catchUp();
    }
  }

  /** To be called now and then. */
  look(): void {
    const nowMs = this.clock.monotonicMs();
    for (const [lane, sinceMs] of this.waitingSince) {
      if (lane.isEmpty) {
        this.answered(lane);
      } else if (!this.late.has(lane) && nowMs - sinceMs >= this.behindAfterMs) {
        this.late.add(lane);
        lane.fallBehind();
      }
    }
  }
}
