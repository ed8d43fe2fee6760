import {
  type AuditEntry,
  type CaptureError,
  type CapturedPage,
  type CaptureMode,
  type CapturePort,
  type CaptureRequest,
  type CaptureStatus,
  type ClaimRequest,
  type ClaimResult,
  type JoinRequest,
  type LedgerNotes,
  type PauseRequest,
  type RelayMember,
  type RouteShards,
  type SettleResult,
  type ShardsRequest,
  type SourcePort,
  type StoredLaneOffset,
} from '@millrace/capture';
import { type OutboxEvent, type Position, toEpoch, toEventId, toPosition } from '@millrace/events';
import { type FakeHeld } from './fake-held.js';

/** An event with a position; the rest can be said where it matters. */
export function anEvent(position: number, more: Partial<OutboxEvent> = {}): OutboxEvent {
  return {
    position: toPosition(position),
    id: toEventId(`00000000-0000-7000-8000-${String(position).padStart(12, '0')}`),
    aggregateType: 'order',
    aggregateId: 'key',
    type: 'order.placed',
    aggregateVersion: null,
    schemaVersion: 1,
    payload: '{}',
    headers: null,
    occurredAtMs: 1_800_000_000_000,
    ...more,
  };
}

/** A page of events; by default not full, and changed when it has any. */
export function aPage(number: number, events: readonly OutboxEvent[], more: Partial<CapturedPage> = {}): CapturedPage {
  const bytes = events.reduce((sum, { payload }) => sum + payload.length, 0);
  return {
    number,
    events,
    rowCount: events.length,
    bytes,
    isFull: false,
    retainedBytes: 0,
    hasWaited: false,
    isChanged: events.length > 0,
    forgetEvents: () => undefined,
    ...more,
  };
}

/** A capture that hands out what a test has put into it. */
export class FakeCapture implements CapturePort {
  readonly settled: number[] = [];
  polls = 0;
  renewals = 0;
  isPaused = false;
  /** Of the ledger; in effect from the next write on. */
  askedMode: CaptureMode = 'polling';
  isClosed = false;
  low = 0;
  /** What the source has given out; `null`: no more than is settled. */
  lastPosition: number | null = null;
  nextPageError: CaptureError | null = null;
  ledgerError: CaptureError | null = null;
  /** Ledger writes wait until it is resolved. */
  ledgerHold: Promise<void> | null = null;
  /** Polls wait until it is resolved. */
  pollHold: Promise<void> | null = null;
  private readonly pages: CapturedPage[] = [];
  private numbered = 0;
  private mode: CaptureMode = 'polling';

  constructor(
    private readonly held: FakeHeld | null = null,
    private readonly lanes = new Map<string, StoredLaneOffset>(),
  ) {}

  give(events: readonly OutboxEvent[], more: Partial<CapturedPage> = {}): void {
    for (const event of events) {
      this.held?.outbox.set(event.position, event);
    }
    this.pages.push(aPage(0, events, more));
  }

  async nextPage(): Promise<CapturedPage> {
    this.polls += 1;
    await this.pollHold;
    if (this.nextPageError !== null) {
      throw this.nextPageError;
    }
    this.numbered += 1;
    return { ...(this.pages.shift() ?? aPage(0, [])), number: this.numbered };
  }

  async settle(page: CapturedPage, notes: LedgerNotes = {}): Promise<SettleResult> {
    await this.ledgerHold;
    this.writeLedger(notes);
    this.settled.push(page.number);
    this.low = Number(page.events[page.events.length - 1]?.position ?? this.low);
    return this.result();
  }

  async renew(notes: LedgerNotes = {}): Promise<SettleResult> {
    await this.ledgerHold;
    this.writeLedger(notes);
    this.renewals += 1;
    return this.result();
  }

  isSettled(position: Position): boolean {
    return position <= BigInt(this.low);
  }

  status(): CaptureStatus {
    return {
      mode: this.mode,
      reading: 'table',
      slot: null,
      streamsLost: 0,
      low: toPosition(this.low),
      high: toPosition(this.low),
      gapRanges: 0,
      lastPosition: toPosition(this.lastPosition ?? this.low),
      leavesAhead: 10,
      gapHolder: null,
      pages: this.numbered,
      gapsDied: 0,
    };
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  private result(): SettleResult {
    const { isPaused, held } = this;
    return held === null ? { isPaused } : { isPaused, heldRevision: held.revision };
  }

  private writeLedger({ held, offsets = [], lanesGone = [] }: LedgerNotes): void {
    if (this.ledgerError !== null) {
      throw this.ledgerError;
    }
    for (const { topic, partition, topicId, nextOffset } of offsets) {
      this.lanes.set(`${topic}/${partition}`, { topic, partition, topicId, nextOffset, atMs: 1_800_000_000_000 });
    }
    for (const { topic, partition } of lanesGone) {
      this.lanes.delete(`${topic}/${partition}`);
    }
    this.mode = this.askedMode;
    if (held !== undefined) {
      this.held?.apply(held);
    }
  }
}

/** A source that answers claims as a test says: with a fresh capture unless told otherwise. */
export class FakeSource implements SourcePort {
  readonly name = 'db';
  readonly captures: FakeCapture[] = [];
  /** The last one of each. */
  readonly byRoute = new Map<string, FakeCapture>();
  readonly claims: ClaimRequest[] = [];
  readonly pauses: PauseRequest[] = [];
  readonly modes: CaptureRequest[] = [];
  readonly audits: AuditEntry[] = [];
  readonly joins: JoinRequest[] = [];
  readonly shardRequests: ShardsRequest[] = [];
  shardsInForce = 1;
  fence: Position | null = null;
  /** `null`: nothing can be held. */
  held: FakeHeld | null = null;
  /** What was noted of lanes, by their id; as old as the fake wall clock's beginning. */
  readonly lanes = new Map<string, StoredLaneOffset>();
  leaves = 0;
  heldBy: string | null = null;
  expiresInMs = 10_000;
  claimError: CaptureError | null = null;
  pauseError: CaptureError | null = null;
  joinError: CaptureError | null = null;
  /** The members as a join of this relay finds them; by default nobody else. */
  membersOf: (self: RelayMember) => readonly RelayMember[] = (self) => [self];
  /** Claims wait until it is resolved. */
  claimHold: Promise<void> | null = null;
  /** Called with each capture before it is handed out. */
  prepare: (capture: FakeCapture) => void = () => undefined;

  get capture(): FakeCapture {
    const last = this.captures[this.captures.length - 1];
    if (last === undefined) {
      throw new Error('the route was never claimed');
    }
    return last;
  }

  async claim(request: ClaimRequest): Promise<ClaimResult> {
    this.claims.push(request);
    await this.claimHold;
    if (this.claimError !== null) {
      throw this.claimError;
    }
    if ((request.shard?.count ?? 1) !== this.shardsInForce) {
      return { kind: 'resharded', shards: this.shardsInForce };
    }
    if (this.heldBy !== null) {
      return { kind: 'held', owner: this.heldBy, expiresInMs: this.expiresInMs };
    }
    const capture = new FakeCapture(this.held, this.lanes);
    this.prepare(capture);
    this.captures.push(capture);
    this.byRoute.set(request.route, capture);
    return {
      kind: 'claimed',
      epoch: toEpoch(this.captures.length),
      isPaused: capture.isPaused,
      fence: this.fence,
      capture,
      laneOffsets: [...this.lanes.values()],
      ...(this.held !== null && { held: await this.held.claimed() }),
    };
  }

  setCapture(request: CaptureRequest): Promise<void> {
    if (this.pauseError !== null) {
      return Promise.reject(this.pauseError);
    }
    this.modes.push(request);
    for (const capture of this.captures) {
      capture.askedMode = request.mode ?? 'polling';
    }
    return Promise.resolve();
  }

  setPaused(request: PauseRequest): Promise<void> {
    if (this.pauseError !== null) {
      return Promise.reject(this.pauseError);
    }
    this.pauses.push(request);
    for (const capture of this.captures) {
      capture.isPaused = request.isPaused;
    }
    return Promise.resolve();
  }

  setShards(request: ShardsRequest): Promise<RouteShards> {
    this.shardRequests.push(request);
    return this.shards(request.route);
  }

  shards(route: string): Promise<RouteShards> {
    return Promise.resolve({ route, inForce: this.shardsInForce, wanted: null, fence: null, shards: [] });
  }

  audit(entry: AuditEntry): Promise<void> {
    if (this.pauseError !== null) {
      return Promise.reject(this.pauseError);
    }
    this.audits.push(entry);
    return Promise.resolve();
  }

  join(request: JoinRequest): Promise<readonly RelayMember[]> {
    this.joins.push(request);
    return this.joinError === null
      ? Promise.resolve(this.membersOf({ ...request, memberForMs: 0 }))
      : Promise.reject(this.joinError);
  }

  leave(): Promise<void> {
    this.leaves += 1;
    return Promise.resolve();
  }
}
