import { type RelayMember } from '@millrace/capture';
import { preferredOwner, type RoutePlace, type SharingTuning, stoppedBy } from './placement.js';
import { type RelayClock } from './relay-clock.js';

/** The members of a source as this relay last saw them. */
export interface MembersView {
  readonly members: readonly RelayMember[];
  /** Monotonic, taken before they were asked for. */
  readonly askedAtMs: number;
}

/** What a seat is made of. */
export interface SeatParts {
  readonly place: RoutePlace;
  /** This relay. */
  readonly owner: string;
  readonly clock: RelayClock;
  readonly tuning: SharingTuning;
}

/**
 * What this relay should do about one route, by what it knows of the others: ask for it at once or late, leave it, or
 * make room. No I/O. What is known of the others is forgotten when it is older than a presence lives: a relay that
 * cannot read the members keeps what it has, and asks late for what it has not.
 *
 * Nothing here is needed for correctness; see `preferredOwner`.
 */
export class RouteSeat {
  private view: MembersView | null = null;
  private preferredSinceMs = 0;
  private declinedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly parts: SeatParts) {}

  /** The members have been read. */
  see(view: MembersView): void {
    const { preferred: before } = this;
    this.view = view;
    const { preferred } = this;
    // nothing known for a while counts as a change: the time that counts is the time seen
    if (preferred !== before) {
      this.preferredSinceMs = this.parts.clock.monotonicMs();
    }
  }

  /** The relay that should run the route; `null` while nothing is known. */
  get preferred(): string | null {
    return preferredOwner(this.members, this.parts.place);
  }

  /** This relay should run the route. */
  get isOurs(): boolean {
    return this.preferred === this.parts.owner && !this.isDeclined;
  }

  /** For how long a free route is to be left to others: to all of them when this relay was told to step down. */
  get graceMs(): number {
    const { graceMs } = this.parts.tuning;
    if (this.isOurs) {
      return 0;
    }
    return this.isDeclined ? 2 * graceMs : graceMs;
  }

  /** Another relay that has stopped the route; it is left to a person there. */
  get stoppedBy(): string | null {
    return stoppedBy(
      this.members.filter(({ owner }) => owner !== this.parts.owner),
      this.parts.place.route,
    );
  }

  /**
   * Another relay should run the route and asks for it, and both have lasted for the settling time: that it is the one,
   * and its own signs of life. Who comes and goes moves nothing.
   */
  get isAskedFor(): boolean {
    const { owner, place, clock, tuning } = this.parts;
    const { preferred } = this;
    const other = this.members.find((member) => member.owner === preferred && preferred !== owner);
    return (
      other?.wants.includes(place.route) === true &&
      other.memberForMs >= tuning.settlingMs &&
      clock.monotonicMs() - this.preferredSinceMs >= tuning.settlingMs
    );
  }

  /** This relay was told to give the route away. */
  decline(): void {
    this.declinedUntilMs = this.parts.clock.monotonicMs() + this.parts.tuning.declineMs;
  }

  private get isDeclined(): boolean {
    return this.parts.clock.monotonicMs() < this.declinedUntilMs;
  }

  private get members(): readonly RelayMember[] {
    const { view } = this;
    const { clock, tuning } = this.parts;
    return view !== null && clock.monotonicMs() - view.askedAtMs < tuning.presenceTtlMs ? view.members : [];
  }
}
