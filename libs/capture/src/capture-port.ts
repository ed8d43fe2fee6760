import { type Epoch, type OutboxEvent, type Position } from '@millrace/events';
import { type EventFilter } from './event-filter.js';
import { type ForkRepair } from './fork/fork-repair.js';
import { type ClaimedHeld } from './held/held-events.js';
import { type LedgerNotes, type StoredLaneOffset } from './offsets/lane-offset.js';
import { type JoinRequest, type RelayMember } from './relay-member.js';
import { type RouteShard, type RouteShards, type ShardsRequest } from './route-shards.js';
import { type SlotHealth } from './slot/slot-health.js';
import { type SlotKeeperState } from './slot/slot-keeper-state.js';

/**
 * What one poll returned, after the ledger in memory has taken it in. The positions of rows that the route does not
 * want are in `rowCount` only: they are settled with the page.
 */
export interface CapturedPage {
  /** 1, 2, 3 ... within one claim; pages are settled in this order. */
  readonly number: number;
  /** Wanted events, by position, earliest first; none any more after `forgetEvents`. */
  readonly events: readonly OutboxEvent[];
  /** All rows read, wanted or not. */
  readonly rowCount: number;
  /** Bytes of the payloads and headers of `events`. */
  readonly bytes: number;
  /** What the page itself takes in memory until it is settled, without its events; about. */
  readonly retainedBytes: number;
  /** Cut by the row or byte limit: there is more to read at once. */
  readonly isFull: boolean;
  /** True when the ledger changed: rows were read or gaps died. A page without change need not be settled. */
  readonly isChanged: boolean;
  /** `nextPage` waited for something to come, in vain if the page is empty: the next call need not wait before it. */
  readonly hasWaited: boolean;
  /** For when the events are on their way: the page is kept until it is settled, and they would take its memory. */
  forgetEvents(): void;
}

/** What a ledger write told: the route's state on the database's side. */
export interface SettleResult {
  readonly isPaused: boolean;
  /** `ClaimedHeld.revision` as it is now; absent where nothing can be held. */
  readonly heldRevision?: bigint;
}

/**
 * How a route learns of new rows. `polling`: from the table alone. `wal`: from the replication slot as soon as there is
 * one that can be read, from the table until then and whenever the slot is in doubt. `auto`: as `wal`, and from the table
 * while the route is far behind, which is faster.
 */
export type CaptureMode = 'polling' | 'wal' | 'auto';

/** All of them. */
export const CAPTURE_MODES: readonly CaptureMode[] = ['polling', 'wal', 'auto'];

/** The replication slot of a route, as last looked at (every ten seconds). */
export interface SlotStatus {
  /** A closed list: `idle`, `looking`, `creating`, `ready`, `failed`, `let-go`, or the kind of what stands in the way. */
  readonly state: SlotStateName;
  /** For an operator: what the state means, what the relay does, what a person has to do, if anything. */
  readonly message: string;
  /** `null` while there is none. */
  readonly name: string | null;
  /** WAL that the server keeps for it, in bytes; what follows is `null` without a slot, or where the server has no such. */
  readonly retainedBytes: bigint | null;
  /** Bytes until the server may give the slot up; `null` without `max_slot_wal_keep_size`. */
  readonly safeWalBytes: bigint | null;
  /** `reserved`, `extended`, `unreserved` or `lost`. */
  readonly walStatus: string | null;
  readonly inactiveSince: string | null;
  readonly confirmedLsn: bigint | null;
  /** From what is confirmed to the end of the server's WAL, in bytes. */
  readonly lagBytes: bigint | null;
  readonly spilledTransactions: bigint | null;
  readonly spilledBytes: bigint | null;
  /** The slot holds more than half of what it may: above the limit it is let go. */
  readonly isHigh: boolean;
}

/** What `SlotStatus.state` can be. */
export type SlotStateName = Exclude<SlotKeeperState['kind'], 'held-up'> | SlotHealth['kind'];

/** The numbers that metrics and the admin API show. */
export interface CaptureStatus {
  /** What was asked for. */
  readonly mode: CaptureMode;
  /** What is read at this moment. */
  readonly reading: 'table' | 'stream';
  /** `null` while no slot is wanted. */
  readonly slot: SlotStatus | null;
  /** How often reading went from the stream back to the table within this claim, by itself. */
  readonly streamsLost: number;
  readonly low: Position;
  readonly high: Position;
  readonly gapRanges: number;
  /** The highest position that the sequence has given out, as last read. */
  readonly lastPosition: Position;
  /**
   * Leaves of the outbox that lie ahead of the sequence, as last read; `null` before the first look. At 0 rows land in
   * the default partition, from which they are read like any other.
   */
  readonly leavesAhead: number | null;
  /** Set while `high` waits because there are too many gaps: who holds them open (pid, age, application). */
  readonly gapHolder: string | null;
  readonly pages: number;
  readonly gapsDied: number;
}

/**
 * How a claimed route learns of new rows and records what it has settled.
 *
 * Order: for two events of one key written under the aggregate's lock, the earlier comes in the same or an earlier
 * page and before the later one. Loss: a committed row is handed out at least once per claim unless it was settled.
 * `nextPage` may overlap `settle` and `renew`; nothing else may overlap.
 */
export interface CapturePort {
  /**
   * One poll. Returns only what is flushed to the producer's disk. Throws `CaptureError`; after an error the claim is
   * given up and taken anew (nothing that was handed out and not settled is lost: it comes again).
   */
  nextPage(): Promise<CapturedPage>;
  /** Writes the ledger as it was after `page`, and the notes, in one statement, guarded by the epoch; renews the lease. */
  settle(page: CapturedPage, notes?: LedgerNotes): Promise<SettleResult>;
  /**
   * Renews the lease and writes the notes, in one statement; then, when nothing is being read, takes care of the source
   * as `nextPage` does. Throws `CaptureError`: `fenced` when another owner has the route, and what `nextPage` throws of
   * the source.
   */
  renew(notes?: LedgerNotes): Promise<SettleResult>;
  /** The ledger, as it was written last, has settled the position. */
  isSettled(position: Position): boolean;
  status(): CaptureStatus;
  /** Gives the lease back when it is still ours, and closes the connections. Idempotent. */
  close(): Promise<void>;
}

/** Where a new route begins (only used when the ledger has no row of the route). */
export type StartFrom =
  { readonly kind: 'earliest' } | { readonly kind: 'now' } | { readonly kind: 'position'; readonly position: Position };

/**
 * The answer to a request for a route. `held`: not now; `owner` is empty while nobody has it, and `expiresInMs` is the
 * time until the request would be granted if nothing happens before. `resharded`: there is no such shard, the route has
 * another number of them. `forked`: granted, but the ledger was written on another server or timeline: once it is
 * repaired, ask again.
 *
 * `fence`: the route is on its way to another number of shards; `capture` hands out what lies at or below it and nothing
 * else, and ends with `fenced` when the new shards are there. `null` otherwise. `laneOffsets`: what earlier claims have
 * noted of the lanes that the route sends to, all of its shards; absent where nobody notes any.
 * `held`: the events of the route that are held, all of its shards; absent where nothing can be held: a route then stops at
 * an event that its sink refuses.
 */
export type ClaimResult =
  | {
      readonly kind: 'claimed';
      readonly epoch: Epoch;
      readonly isPaused: boolean;
      readonly fence: Position | null;
      readonly capture: CapturePort;
      readonly laneOffsets?: readonly StoredLaneOffset[];
      readonly held?: ClaimedHeld;
    }
  | { readonly kind: 'held'; readonly owner: string; readonly expiresInMs: number }
  | { readonly kind: 'forked'; readonly epoch: Epoch; readonly repair: ForkRepair }
  | { readonly kind: 'resharded'; readonly shards: number };

/** A source as the engine sees it: routes are claimed from it. */
export interface SourcePort {
  readonly name: string;
  /**
   * Asks for the route on the database's clock; at most one claim of a route is valid at a time. `ttlMs` is the life
   * of the lease; every `settle` and `renew` extends it by `ttlMs` from the moment the database executes it.
   * Throws `CaptureError`.
   */
  claim(request: ClaimRequest): Promise<ClaimResult>;
  /** Sets or clears the pause mark of a route or of one of its shards and writes the audit row in the same statement. */
  setPaused(request: PauseRequest): Promise<void>;
  /**
   * Sets how a route learns of new rows (`null`: as configured) and writes the audit row in the same statement. Whoever
   * runs the route, wherever it is, changes over at its next write of the ledger, a second or two later when idle: without
   * a gap, a second copy, or another order.
   */
  setCapture(request: CaptureRequest): Promise<void>;
  /**
   * Says how many shards a route is to have, with an audit row in the same statement. The shards that it has settle all
   * that any of them has read; when the last one has, the new ones begin there. Any relay that runs a shard does its part;
   * a shard that nobody can run makes the change wait. The number in force calls a change off. Throws `CaptureError`.
   */
  setShards(request: ShardsRequest): Promise<RouteShards>;
  /** How a route is divided now. Throws `CaptureError`: `route_unknown` before it has run. */
  shards(route: string): Promise<RouteShards>;
  /** Writes an audit row. Throws `CaptureError`: then the action must not be taken. */
  audit(entry: AuditEntry): Promise<void>;
  /**
   * Renews this relay's presence among the relays of the source, on the database's clock, and returns all that are
   * present, itself included, in the order in which they joined. Advice on who should ask for which route, no right to
   * anything: that is `claim` alone. One autocommit statement that waits for nobody. Throws `CaptureError`.
   */
  join(request: JoinRequest): Promise<readonly RelayMember[]>;
  /** Ends this relay's presence at once. Idempotent; `join` may follow. Throws `CaptureError`: it runs out by itself. */
  leave(owner: string): Promise<void>;
}

/** Who asks for which route. */
export interface ClaimRequest extends EventFilter {
  readonly route: string;
  readonly owner: string;
  readonly ttlMs: number;
  /** For so long after the route has become free it is left to other owners; default 0. */
  readonly graceMs?: number;
  readonly from: StartFrom;
  /**
   * Which shard of a divided route `route` names (`ledgerName`), and of how many; without it, the whole of one that is not
   * divided. The number counts only while the route has no ledger; later the answer tells the one in force.
   */
  readonly shard?: RouteShard;
}

/** Who pauses or resumes which route, and why. */
export interface PauseRequest {
  readonly route: string;
  readonly isPaused: boolean;
  readonly actor: string;
  readonly reason: string | null;
}

/** Who changes how which route learns of new rows, and why. */
export interface CaptureRequest {
  readonly route: string;
  readonly mode: CaptureMode | null;
  readonly actor: string;
  readonly reason: string | null;
}

/** Who did what to what, and why. */
export interface AuditEntry {
  readonly actor: string;
  /** As `route.pause`. */
  readonly action: string;
  readonly target: string;
  readonly reason: string | null;
}
