import {
  CaptureError,
  type CaptureRequest,
  type ClaimRequest,
  type ClaimResult,
  type JoinRequest,
  type PauseRequest,
  type RelayMember,
  type RouteShards,
  type SettleResult,
  type ShardsRequest,
  type SourcePort,
} from '@millrace/capture';
import { toEpoch } from '@millrace/events';
import { type RelayClock } from '../relay-clock.js';
import { FakeCapture } from './fake-source.js';

interface Lease {
  owner: string | null;
  epoch: number;
  expiresMs: number;
}

interface Presence {
  readonly request: JoinRequest;
  readonly joinedAtMs: number;
  readonly seenAtMs: number;
  readonly expiresMs: number;
}

/** A route changed hands. */
export interface Move {
  readonly route: string;
  readonly to: string;
  readonly atMs: number;
  /** How long nobody had it. */
  readonly idleMs: number;
}

/** One database that several relays share: leases and members on its own clock, nothing to publish. */
export class SharedDatabase {
  readonly moves: Move[] = [];
  private readonly leases = new Map<string, Lease>();
  private readonly present = new Map<string, Presence>();

  constructor(private readonly clock: RelayClock) {}

  /** Who has a valid lease on which route. */
  get owners(): Readonly<Record<string, string>> {
    const valid = [...this.leases].filter(([, lease]) => lease.owner !== null && lease.expiresMs >= this.nowMs);
    return Object.fromEntries(valid.map(([route, { owner }]) => [route, owner ?? '']));
  }

  claim(request: ClaimRequest): ClaimResult {
    const { route, owner, ttlMs, graceMs = 0 } = request;
    const lease = this.leases.get(route) ?? { owner: null, epoch: 0, expiresMs: this.nowMs };
    this.leases.set(route, lease);
    const freeInMs = lease.expiresMs + graceMs - this.nowMs;
    const isFree = lease.owner === null && graceMs === 0;
    if (lease.owner !== owner && !isFree && freeInMs >= 0) {
      return { kind: 'held', owner: lease.owner ?? '', expiresInMs: freeInMs };
    }
    if (lease.owner !== owner) {
      this.moves.push({ route, to: owner, atMs: this.nowMs, idleMs: Math.max(0, this.nowMs - lease.expiresMs) });
    }
    lease.owner = owner;
    lease.epoch += 1;
    lease.expiresMs = this.nowMs + ttlMs;
    const capture = new LeasedCapture(this, request, lease.epoch);
    return { kind: 'claimed', epoch: toEpoch(lease.epoch), isPaused: false, fence: null, capture };
  }

  renew({ route, ttlMs }: ClaimRequest, epoch: number): void {
    const lease = this.leases.get(route);
    if (lease?.epoch !== epoch) {
      throw new CaptureError('fenced', 'Another relay has the route.');
    }
    lease.expiresMs = this.nowMs + ttlMs;
  }

  release({ route }: ClaimRequest, epoch: number): void {
    const lease = this.leases.get(route);
    if (lease?.epoch === epoch) {
      lease.owner = null;
      lease.expiresMs = this.nowMs;
    }
  }

  join(request: JoinRequest): readonly RelayMember[] {
    const before = this.present.get(request.owner);
    const joinedAtMs = before !== undefined && before.expiresMs >= this.nowMs ? before.joinedAtMs : this.nowMs;
    const expiresMs = this.nowMs + request.ttlMs;
    this.present.set(request.owner, { request, joinedAtMs, seenAtMs: this.nowMs, expiresMs });
    return [...this.present.values()]
      .filter((presence) => presence.expiresMs >= this.nowMs)
      .sort((a, b) => a.joinedAtMs - b.joinedAtMs || (a.request.owner < b.request.owner ? -1 : 1))
      .map((presence) => ({ ...presence.request, memberForMs: presence.seenAtMs - presence.joinedAtMs }));
  }

  leave(owner: string): void {
    this.present.delete(owner);
  }

  private get nowMs(): number {
    return this.clock.monotonicMs();
  }
}

class LeasedCapture extends FakeCapture {
  constructor(
    private readonly database: SharedDatabase,
    private readonly request: ClaimRequest,
    private readonly epoch: number,
  ) {
    super();
  }

  override renew(): Promise<SettleResult> {
    return new Promise((resolve) => {
      this.database.renew(this.request, this.epoch);
      resolve({ isPaused: false });
    });
  }

  override close(): Promise<void> {
    this.database.release(this.request, this.epoch);
    return super.close();
  }
}

/** The database as one relay reaches it. */
export class SharedSource implements SourcePort {
  readonly name = 'db';
  /** Routes that this relay cannot run, and what it is told. */
  readonly refusals = new Map<string, CaptureError>();
  readonly audits: string[] = [];
  canReadMembers = true;

  constructor(private readonly database: SharedDatabase) {}

  claim(request: ClaimRequest): Promise<ClaimResult> {
    const refusal = this.refusals.get(request.route);
    return refusal === undefined ? Promise.resolve(this.database.claim(request)) : Promise.reject(refusal);
  }

  setPaused({ route }: PauseRequest): Promise<void> {
    return Promise.reject(new CaptureError('route_unknown', `Route ${route} is never paused here.`));
  }

  setCapture({ route }: CaptureRequest): Promise<void> {
    return Promise.reject(new CaptureError('route_unknown', `Route ${route} has one way to be captured here.`));
  }

  setShards({ route }: ShardsRequest): Promise<RouteShards> {
    return this.shards(route);
  }

  shards(route: string): Promise<RouteShards> {
    return Promise.reject(new CaptureError('route_unknown', `Route ${route} is never divided here.`));
  }

  audit({ action, target }: { readonly action: string; readonly target: string }): Promise<void> {
    this.audits.push(`${action} ${target}`);
    return Promise.resolve();
  }

  join(request: JoinRequest): Promise<readonly RelayMember[]> {
    return this.canReadMembers
      ? Promise.resolve(this.database.join(request))
      : Promise.reject(new CaptureError('not_authorised', 'No right to read the members.'));
  }

  leave(owner: string): Promise<void> {
    this.database.leave(owner);
    return Promise.resolve();
  }
}
