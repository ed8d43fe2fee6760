import {
  CaptureError,
  type ChainEvent,
  type ChainRequest,
  type GapRange,
  gapDelta,
  type HeldAction,
  type HeldChanges,
  type LedgerClaim,
  type LedgerClaimRequest,
  type LedgerNotes,
  type LedgerSaved,
  type LedgerState,
  type OutboxWriters,
  type PolledRow,
  type PollRequest,
  type PollResult,
  type StoredLaneOffset,
} from '@millrace/capture';
import { toEpoch, toEventId, toPosition } from '@millrace/events';
import { type HeldRow, SimHeld } from './sim-held.js';
import { SimMembers } from './sim-members.js';
import { BEGINS_AT_MS, type VirtualTime } from './virtual-time.js';

/** One transaction of a producer: it locks its keys in order, inserts, stays open for a while and ends. */
export interface TransactionPlan {
  readonly atMs: number;
  /** Keys of the events, in order; a key may come more than once. */
  readonly keys: readonly string[];
  /** Between two inserts. */
  readonly paceMs: number;
  /** From the last insert to the end. */
  readonly holdMs: number;
  readonly end: 'commit' | 'rollback' | 'commit-async';
}

/** An event as the truth knows it. */
export interface TrueEvent {
  readonly position: bigint;
  readonly id: string;
  readonly key: string;
  /** 1, 2, 3 ... per key, by commits. */
  readonly version: number;
  readonly occurredAtMs: number;
}

interface Transaction {
  readonly plan: TransactionPlan;
  readonly rows: TrueEvent[];
  readonly locks: string[];
  readonly versionsBefore: Map<string, number>;
  xid: bigint | null;
  isOpen: boolean;
}

interface Committed extends TrueEvent {
  readonly lsn: bigint;
}

interface LedgerRow {
  epoch: bigint;
  owner: string | null;
  /** Who won the epoch, also after giving it back. */
  claimedBy: string;
  /** Of the lease, or when it was given back. */
  expiresMs: number;
  high: bigint;
  isPaused: boolean;
  pausedSinceMs: number | null;
  gaps: Map<bigint, { readonly hi: bigint; readonly bound: bigint }>;
  /** What was noted of lanes, by their id. */
  lanes: Map<string, StoredLaneOffset>;
}

/** What a wrong database would do; for the proof that the checks see it. */
export interface DatabaseFaults {
  readonly ignoresEpoch?: boolean;
  readonly flushesNever?: boolean;
  /** What is held is written by a statement of its own, which comes with the next write. */
  readonly holdsLater?: boolean;
  /** What a person has done is overwritten by a relay that did not know of it. */
  readonly forgetsActs?: boolean;
}

/** Told after each ledger write, with what it settled. */
export type LedgerWatch = (settled: (position: bigint) => boolean, byEpoch: bigint) => void;

const WAL_WRITER_MS = 200;

/**
 * PostgreSQL as far as the outbox leans on it: positions drawn in transactions that hold xids and row locks, commits
 * that become visible at once and durable a little later, snapshots, a crash that forgets what was not durable, and
 * the ledger row with its epoch and its lease on the server's own clock.
 */
export class SimDatabase {
  /** Changes with every crash: older connections are dead. */
  generation = 1;
  isUp = true;
  ledgerWatch: LedgerWatch = () => undefined;
  /** Told of each epoch that is won. */
  claimWatch: (epoch: bigint) => void = () => undefined;
  readonly members: SimMembers;
  readonly held: SimHeld;
  private xid = 100n;
  private sequence = 0n;
  private sequenceLsn: { readonly value: bigint; readonly lsn: bigint }[] = [];
  private insertLsn = 1n;
  private flushLsn = 1n;
  private committed: Committed[] = [];
  private readonly open = new Set<Transaction>();
  private readonly foreign = new Set<bigint>();
  private readonly versions = new Map<string, number>();
  private readonly locked = new Map<string, (() => void)[]>();
  private readonly ledgers = new Map<string, LedgerRow>();
  private eventNumber = 0;
  private unfinished = 0;
  private readonly heldLater: HeldChanges[] = [];

  constructor(
    private readonly time: VirtualTime,
    private readonly wants: (key: string) => boolean,
    private readonly faults: DatabaseFaults = {},
  ) {
    this.members = new SimMembers(time);
    this.held = new SimHeld(time);
    this.runWalWriter();
  }

  /** All wanted events that are committed, by position. */
  get truth(): readonly TrueEvent[] {
    return this.committed.filter(({ key }) => this.wants(key));
  }

  /** No transaction is open or planned. */
  get isQuiet(): boolean {
    return this.unfinished === 0;
  }

  epochOf(route: string): bigint {
    return this.ledgers.get(route)?.epoch ?? 0n;
  }

  claimedBy(route: string): string {
    return this.ledgers.get(route)?.claimedBy ?? '';
  }

  pausedForMs(route: string): number {
    const since = this.ledgers.get(route)?.pausedSinceMs ?? null;
    return since === null ? 0 : this.time.nowMs - since;
  }

  /** All that was ever given out is settled, one way or the other. */
  isSettled(route: string): boolean {
    const row = this.ledgers.get(route);
    const last = this.committed[this.committed.length - 1];
    return last === undefined || (row !== undefined && row.gaps.size === 0 && row.high >= last.position);
  }

  plan(plan: TransactionPlan): void {
    this.unfinished += 1;
    this.time.in(plan.atMs, () => {
      const transaction = { plan, rows: [], locks: [], versionsBefore: new Map(), xid: null, isOpen: true };
      if (!this.isUp) {
        this.unfinished -= 1;
        return;
      }
      this.open.add(transaction);
      this.lockNext(transaction, [...new Set(plan.keys)].sort());
    });
  }

  /** A transaction with an xid that has nothing to do with the outbox. */
  planForeign(atMs: number, durationMs: number): void {
    this.time.in(atMs, () => {
      const xid = this.xid++;
      this.foreign.add(xid);
      this.time.in(durationMs, () => {
        this.foreign.delete(xid);
      });
    });
  }

  /** The server dies and comes back: what was not on disk is gone. */
  crash(downMs: number): void {
    this.isUp = false;
    this.generation += 1;
    for (const transaction of [...this.open]) {
      this.finish(transaction, false);
    }
    this.foreign.clear();
    const lost = this.committed.filter(({ lsn }) => lsn > this.flushLsn);
    this.committed = this.committed.filter(({ lsn }) => lsn <= this.flushLsn);
    for (const { key } of lost) {
      this.versions.set(key, Math.max(0, ...this.committed.filter((row) => row.key === key).map((row) => row.version)));
    }
    this.sequenceLsn = this.sequenceLsn.filter(({ lsn }) => lsn <= this.flushLsn);
    this.sequence = this.sequenceLsn[this.sequenceLsn.length - 1]?.value ?? 0n;
    this.insertLsn = this.flushLsn;
    this.time.in(downMs, () => {
      this.isUp = true;
    });
  }

  poll(request: PollRequest): PollResult {
    const { above, reach, gaps, rowsMax } = request;
    const top = above === null || reach === null ? null : above + reach;
    const isAsked = (position: bigint): boolean =>
      (above !== null && position > above && (top === null || position <= top)) ||
      gaps.some(({ lo, hi }) => position >= lo && position <= hi);
    const found = this.committed
      .filter(({ position }) => isAsked(position))
      .sort((a, b) => (a.position < b.position ? -1 : 1))
      .slice(0, rowsMax);
    return {
      rows: found.map((row) => polled(row, this.wants(row.key))),
      isFull: found.length >= rowsMax,
      snapshotXmin: this.xmin(),
      insertLsn: this.insertLsn,
      flushLsn: this.faults.flushesNever === true ? this.insertLsn : this.flushLsn,
      lastPosition: toPosition(this.sequence),
    };
  }

  flushedLsn(): bigint {
    return this.flushLsn;
  }

  forceFlush(): void {
    this.xid += 1n;
    this.flushLsn = this.insertLsn;
  }

  writers(): OutboxWriters {
    const xids = [...this.open].flatMap(({ xid }) => (xid === null ? [] : [xid]));
    return { oldestXid: lowest(xids), oldest: xids.length === 0 ? null : 'a producer' };
  }

  get lastPosition(): bigint {
    return this.sequence;
  }

  claim(request: LedgerClaimRequest): LedgerClaim {
    const { graceMs = 0 } = request;
    const row = this.ledgers.get(request.route) ?? newLedger(this.time.nowMs);
    this.ledgers.set(request.route, row);
    const isFree = row.owner === null && graceMs === 0;
    const expiresInMs = row.expiresMs + graceMs - this.time.nowMs;
    if (row.owner !== request.owner && !isFree && expiresInMs >= 0) {
      return { kind: 'held', owner: row.owner ?? '', expiresInMs };
    }
    row.epoch += 1n;
    row.owner = request.owner;
    row.claimedBy = request.owner;
    row.expiresMs = this.time.nowMs + request.ttlMs;
    this.commitSynchronously();
    this.claimWatch(row.epoch);
    return {
      kind: 'claimed',
      epoch: toEpoch(row.epoch),
      isPaused: row.isPaused,
      mode: null,
      state: storedState(row),
      fence: null,
      timeline: 1n,
      laneOffsets: [...row.lanes.values()],
    };
  }

  /** Applies only the difference to what the caller believes is stored, as the real statement does. */
  save(
    held: { readonly route: string; readonly epoch: bigint; readonly ttlMs: number },
    states: SavedStates,
  ): LedgerSaved {
    const row = this.ledgers.get(held.route);
    if (row === undefined || (row.epoch !== held.epoch && this.faults.ignoresEpoch !== true)) {
      throw new CaptureError('fenced', 'The route has another owner.');
    }
    const xid = this.xid++;
    const delta = gapDelta(states.stored, states.next);
    for (const lo of delta.removed) {
      row.gaps.delete(lo);
    }
    for (const { lo, hi, bound } of delta.written) {
      row.gaps.set(lo, { hi, bound: bound.xid ?? xid });
    }
    row.high = states.next.high;
    for (const lane of states.notes.offsets ?? []) {
      const atMs = this.time.nowMs - lane.ageMs;
      row.lanes.set(`${lane.topic}/${lane.partition}`, { ...lane, atMs });
    }
    this.hold(states.notes.held);
    row.expiresMs = this.time.nowMs + held.ttlMs;
    this.commitSynchronously();
    this.ledgerWatch((position) => isSettledBy(row, position), held.epoch);
    return { isPaused: row.isPaused, mode: null, heldRevision: this.held.revision, xid };
  }

  /** The first events of chains, with their rows of the outbox. */
  chains(request: ChainRequest): readonly ChainEvent[] {
    return this.held.chains(request).map(({ position, id, aggregateType, aggregateId, bytes }) => {
      const row = this.committed.find((each) => each.position === position);
      return {
        position,
        id,
        aggregateType,
        aggregateId,
        bytes,
        event: row === undefined ? null : polled(row, true).event,
      };
    });
  }

  /** A person does something with held events. */
  act(action: HeldAction, isPicked: (row: HeldRow) => boolean): void {
    if (this.isUp) {
      this.held.act(action, isPicked);
      this.commitSynchronously();
    }
  }

  private hold(changes: HeldChanges | undefined): void {
    if (changes === undefined) {
      return;
    }
    const due = this.faults.holdsLater === true ? this.heldLater.splice(0, 1, changes) : [changes];
    for (const each of due) {
      const revision = this.faults.forgetsActs === true ? this.held.revision : each.revision;
      this.held.apply({ ...each, revision });
    }
  }

  release(route: string, epoch: bigint): void {
    const row = this.ledgers.get(route);
    if (row?.epoch === epoch) {
      row.owner = null;
      row.expiresMs = this.time.nowMs;
    }
  }

  setPaused(route: string, isPaused: boolean): void {
    const row = this.ledgers.get(route);
    if (row === undefined) {
      throw new CaptureError('route_unknown', 'No ledger yet.');
    }
    row.pausedSinceMs = isPaused ? (row.pausedSinceMs ?? this.time.nowMs) : null;
    row.isPaused = isPaused;
    this.commitSynchronously();
  }

  private commitSynchronously(): void {
    this.insertLsn += 1n;
    this.flushLsn = this.insertLsn;
  }

  private runWalWriter(): void {
    this.time.in(WAL_WRITER_MS, () => {
      if (this.isUp) {
        this.flushLsn = this.insertLsn;
      }
      this.runWalWriter();
    });
  }

  private xmin(): bigint {
    const open = [...this.open].flatMap(({ xid }) => (xid === null ? [] : [xid]));
    return lowest([...open, ...this.foreign]) ?? this.xid;
  }

  private lockNext(transaction: Transaction, wanted: readonly string[]): void {
    const [key, ...rest] = wanted;
    if (!transaction.isOpen) {
      return;
    }
    if (key === undefined) {
      this.insertNext(transaction, 0);
      return;
    }
    const waiting = this.locked.get(key);
    if (waiting !== undefined) {
      waiting.push(() => {
        this.lockNext(transaction, wanted);
      });
      return;
    }
    this.locked.set(key, []);
    transaction.locks.push(key);
    transaction.versionsBefore.set(key, this.versions.get(key) ?? 0);
    this.lockNext(transaction, rest);
  }

  private insertNext(transaction: Transaction, at: number): void {
    const { keys, paceMs, holdMs, end } = transaction.plan;
    const key = keys[at];
    if (!transaction.isOpen) {
      return;
    }
    if (key === undefined) {
      this.time.in(holdMs, () => {
        this.finish(transaction, end !== 'rollback');
      });
      return;
    }
    // the column's default takes the xid before the number
    transaction.xid ??= this.xid++;
    this.sequence += 1n;
    this.insertLsn += 1n;
    this.sequenceLsn.push({ value: this.sequence, lsn: this.insertLsn });
    const version = (this.versions.get(key) ?? 0) + 1;
    this.versions.set(key, version);
    this.eventNumber += 1;
    transaction.rows.push({
      position: this.sequence,
      id: `00000000-0000-7000-8000-${String(this.eventNumber).padStart(12, '0')}`,
      key,
      version,
      occurredAtMs: BEGINS_AT_MS + this.time.nowMs,
    });
    this.time.in(paceMs, () => {
      this.insertNext(transaction, at + 1);
    });
  }

  private finish(transaction: Transaction, isCommit: boolean): void {
    if (!transaction.isOpen) {
      return;
    }
    transaction.isOpen = false;
    this.open.delete(transaction);
    this.unfinished -= 1;
    if (isCommit) {
      this.insertLsn += 1n;
      const lsn = this.insertLsn;
      this.committed.push(...transaction.rows.map((row) => ({ ...row, lsn })));
      this.committed.sort((a, b) => (a.position < b.position ? -1 : 1));
      if (transaction.plan.end === 'commit') {
        this.flushLsn = lsn;
      }
    } else {
      for (const [key, version] of transaction.versionsBefore) {
        this.versions.set(key, version);
      }
    }
    for (const key of transaction.locks) {
      const waiting = this.locked.get(key) ?? [];
      this.locked.delete(key);
      for (const go of waiting) {
        this.time.in(0, go);
      }
    }
  }
}

/** What a ledger write goes from and to. */
export interface SavedStates {
  readonly stored: LedgerState;
  readonly next: LedgerState;
  readonly notes: LedgerNotes;
}

function newLedger(nowMs: number): LedgerRow {
  return {
    epoch: 0n,
    owner: null,
    claimedBy: '',
    expiresMs: nowMs,
    high: 0n,
    isPaused: false,
    pausedSinceMs: null,
    gaps: new Map(),
    lanes: new Map(),
  };
}

function storedState(row: LedgerRow): LedgerState {
  const gaps: GapRange[] = [...row.gaps]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([lo, { hi, bound }]) => ({
      lo: toPosition(lo),
      hi: toPosition(hi),
      bound: { xid: bound, knownAtMs: Number.NEGATIVE_INFINITY },
    }));
  return { high: toPosition(row.high), gaps };
}

function isSettledBy(row: LedgerRow, position: bigint): boolean {
  return position <= row.high && ![...row.gaps].some(([lo, { hi }]) => position >= lo && position <= hi);
}

function polled(row: TrueEvent, isWanted: boolean): PolledRow {
  const payload = JSON.stringify({ version: row.version });
  const event = {
    position: toPosition(row.position),
    id: toEventId(row.id),
    aggregateType: 'order',
    aggregateId: row.key,
    type: 'order.changed',
    aggregateVersion: String(row.version),
    schemaVersion: 1,
    payload,
    headers: null,
    occurredAtMs: row.occurredAtMs,
  };
  return { position: event.position, event: isWanted ? event : null, bytes: payload.length };
}

function lowest(xids: readonly bigint[]): bigint | null {
  return xids.reduce<bigint | null>((low, xid) => (low === null || xid < low ? xid : low), null);
}
