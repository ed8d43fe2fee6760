import { type RouteHold } from './retention-observer.js';
import { type RetentionPolicy } from './retention-policy.js';

interface Seen {
  readonly sinceMs: number;
  readonly low: bigint;
}

/**
 * Which routes have been over a limit for the whole time of grace, as this process saw it. After an outage of the relay
 * all routes are over their limits for a moment: they get the time to move. For its age a route expires only while its
 * `low` stands still, for its bytes also while it is merely too slow.
 */
export class ExpiryWatch {
  private readonly over = new Map<string, Seen>();

  constructor(
    private readonly policy: RetentionPolicy,
    private readonly graceMs: number,
  ) {}

  isOver({ leaves, bytes, ageMs }: RouteHold): boolean {
    const { maxAgeMs } = this.policy;
    return leaves > 0 && (this.isTooBig(bytes) || (maxAgeMs !== null && ageMs >= maxAgeMs));
  }

  /** The `low` that the route had when its time of grace began, once that is over; otherwise `null`. */
  expiringLow(hold: RouteHold, nowMs: number): bigint | null {
    if (hold.isExpired || !this.isOver(hold)) {
      this.over.delete(hold.route);
      return null;
    }
    const seen = this.over.get(hold.route);
    if (seen === undefined || (seen.low !== hold.low && !this.isTooBig(hold.bytes))) {
      this.over.set(hold.route, { sinceMs: nowMs, low: hold.low });
      return null;
    }
    return nowMs - seen.sinceMs >= this.graceMs ? seen.low : null;
  }

  private isTooBig(bytes: number): boolean {
    const { maxBytes } = this.policy;
    return maxBytes !== null && bytes >= maxBytes;
  }
}
