import { type JoinRequest, type RelayMember, type SourcePort } from '@millrace/capture';
import { type SharingTuning } from './placement.js';
import { sourceProblemOf, sourceSilent } from './problem.js';
import { type RelayClock } from './relay-clock.js';
import { type RelayObserver } from './relay-observer.js';
import { type RouteProblem } from './route-state.js';
import { type MembersView, type RouteSeat } from './route-seat.js';
import { sleep, withDeadline } from './waiting.js';

/** How long to wait for an answer before the next try; above what a source takes to give up by itself. */
const CALL_DEADLINE_MS = 30_000;
const LEAVE_DEADLINE_MS = 5_000;

/** What this relay says of itself with each beat. */
export type Presence = Pick<JoinRequest, 'wants' | 'stopped'>;

/** What a source's membership is made of. */
export interface MembershipParts {
  /** The name that the routes use. */
  readonly name: string;
  readonly source: SourcePort;
  readonly owner: string;
  readonly configVersion: string;
  readonly clock: RelayClock;
  readonly tuning: SharingTuning;
  /** Asked before each beat. */
  readonly presence: () => Presence;
  /** Told after each beat that had an answer. */
  readonly seen: (view: MembersView) => void;
  readonly observer: RelayObserver;
}

/** The relays of a source, as this one knows them. */
export interface SourceMembersStatus {
  readonly source: string;
  /** In the order in which they joined, as last read. */
  readonly members: readonly RelayMember[];
  /** Since they were last read; `null` before the first time. */
  readonly ageMs: number | null;
  /** Why they could not be read the last time. */
  readonly problem: RouteProblem | null;
}

/**
 * This relay's presence at one source: one statement every `beatMs` that renews it and reads who else is there. A source
 * that does not answer delays nobody but its own routes, and these by one beat at most.
 */
export class SourceMembers {
  private life: Promise<void> | null = null;
  private stopping = new AbortController();
  private nap = new AbortController();
  private view: MembersView | null = null;
  private problem: RouteProblem | null = null;
  private firstLook = new AbortController();

  constructor(private readonly parts: MembershipParts) {}

  /** Idempotent. */
  start(): void {
    if (this.life === null) {
      this.stopping = new AbortController();
      this.firstLook = new AbortController();
      this.view = null;
      this.life = this.live();
    }
  }

  /** Ends the presence at once, so that the others need not wait for its end. Idempotent, bounded, never rejects. */
  async stop(): Promise<void> {
    if (this.life === null) {
      return;
    }
    this.stopping.abort();
    this.nap.abort();
    await this.life;
    this.life = null;
    const { source, owner, clock } = this.parts;
    const deadline = { clock, ms: LEAVE_DEADLINE_MS, signal: new AbortController().signal, error: sourceSilent };
    await withDeadline(source.leave(owner), deadline).catch(() => undefined);
  }

  /** Resolves when the members have been asked for once, with whatever outcome; is waited for during one beat in all. */
  async known(signal: AbortSignal): Promise<void> {
    const { clock, tuning } = this.parts;
    const { firstLook } = this;
    await sleep(clock, tuning.beatMs, AbortSignal.any([signal, firstLook.signal]));
    firstLook.abort();
  }

  /** What this relay says of itself has changed in a way that the others should know now. */
  tellNow(): void {
    this.nap.abort();
  }

  /** For a shard that comes later: what was read last. */
  showTo(seat: Pick<RouteSeat, 'see'>): void {
    if (this.view !== null) {
      seat.see(this.view);
    }
  }

  status(): SourceMembersStatus {
    const { name, clock } = this.parts;
    const ageMs = this.view === null ? null : clock.monotonicMs() - this.view.askedAtMs;
    return { source: name, members: this.view?.members ?? [], ageMs, problem: this.problem };
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private async live(): Promise<void> {
    const { clock, tuning } = this.parts;
    while (!this.isStopping()) {
      this.nap = new AbortController();
      await this.beat();
      this.firstLook.abort();
      if (!this.isStopping()) {
        await sleep(clock, tuning.beatMs, this.nap.signal);
      }
    }
  }

  private tellChange(members: readonly RelayMember[]): void {
    const { name, observer } = this.parts;
    const owners = members.map(({ owner }) => owner);
    const before = this.view?.members.map(({ owner }) => owner) ?? [];
    if (owners.join('\n') !== before.join('\n')) {
      observer.membersChanged?.({ source: name, members: owners });
    }
  }

  private async beat(): Promise<void> {
    const { source, owner, configVersion, clock, tuning, presence, seen } = this.parts;
    const askedAtMs = clock.monotonicMs();
    const deadline = { clock, ms: CALL_DEADLINE_MS, signal: this.stopping.signal, error: sourceSilent };
    try {
      const request = { owner, ttlMs: tuning.presenceTtlMs, configVersion, ...presence() };
      const members = await withDeadline(source.join(request), deadline);
      this.problem = null;
      this.tellChange(members);
      this.view = { members, askedAtMs };
      seen(this.view);
    } catch (error) {
      this.problem = sourceProblemOf(error);
    }
  }
}
