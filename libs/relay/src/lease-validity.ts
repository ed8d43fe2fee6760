import { type RelayClock } from './relay-clock.js';

/** The moment just before a request that may extend the lease was made. */
export interface LeaseStamp {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/**
 * How long this process may believe that it holds the lease: from **before** the request that extended it, plus the
 * lease's life, minus a margin for clocks that run at different speeds. The database counts from a later moment, so
 * a process that was frozen, or whose network was, stops sending before anybody else may start.
 *
 * The wall clock is asked too: a suspended virtual machine stops the monotonic clock. A wall clock that jumps ahead
 * costs one renewal.
 */
export class LeaseValidity {
  private validUntil: LeaseStamp;
  private stampedAt: LeaseStamp;

  constructor(
    private readonly clock: RelayClock,
    private readonly limits: { readonly ttlMs: number; readonly marginMs: number },
    claimedAt: LeaseStamp,
  ) {
    this.stampedAt = claimedAt;
    this.validUntil = this.endOf(claimedAt);
  }

  /** To be taken immediately before a request is made. */
  static stamp(clock: RelayClock): LeaseStamp {
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
  }

  /** The request made at `stamp` has extended the lease. */
  extend(stamp: LeaseStamp): void {
    this.stampedAt = stamp;
    this.validUntil = this.endOf(stamp);
  }

  /** To be asked immediately before each send. */
  isValid(): boolean {
    return this.clock.monotonicMs() < this.validUntil.monotonicMs && this.clock.wallMs() < this.validUntil.wallMs;
  }

  /** Milliseconds since the last request that extended the lease. */
  ageMs(): number {
    return this.clock.monotonicMs() - this.stampedAt.monotonicMs;
  }

  private endOf(stamp: LeaseStamp): LeaseStamp {
    const lifeMs = this.limits.ttlMs - this.limits.marginMs;
    return { monotonicMs: stamp.monotonicMs + lifeMs, wallMs: stamp.wallMs + lifeMs };
  }
}
