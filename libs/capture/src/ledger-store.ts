import { type Epoch, type Position } from '@millrace/events';
import { type CaptureMode, type StartFrom } from './capture-port.js';
import { type ClaimedHeld } from './held/held-events.js';
import { type LedgerState } from './ledger.js';
import { type LedgerNotes, type StoredLaneOffset } from './offsets/lane-offset.js';
import { type RouteShard } from './route-shards.js';

/** Who asks for a route's ledger row. */
export interface LedgerClaimRequest {
  readonly route: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly graceMs?: number;
  readonly from: StartFrom;
  /** Which part of the route `route` is the ledger of; without it, the whole. */
  readonly shard?: RouteShard;
}

/** The ledger as the new owner finds it, or who has it. `forked`: it was written on another server or timeline. */
export type LedgerClaim =
  | {
      readonly kind: 'claimed';
      readonly epoch: Epoch;
      readonly isPaused: boolean;
      readonly mode: CaptureMode | null;
      readonly state: LedgerState;
      /** Nothing above it may be read or settled; `null`: no limit. `state.high` stands there. */
      readonly fence: Position | null;
      /** Of the server, when it granted the claim. */
      readonly timeline: bigint;
      /** Of all lanes that the route has sent to, with those of its other shards. */
      readonly laneOffsets?: readonly StoredLaneOffset[];
      /** Absent where nothing can be held: a route then stops at an event that its sink refuses. */
      readonly held?: ClaimedHeld;
    }
  | { readonly kind: 'held'; readonly owner: string; readonly expiresInMs: number }
  | {
      readonly kind: 'forked';
      readonly epoch: Epoch;
      readonly state: LedgerState;
      readonly sinceMs: number;
      readonly timeline: bigint;
    }
  /** There is no such shard: the route has another number of them. */
  | { readonly kind: 'resharded'; readonly shards: number };

/** What a ledger write returned. */
export interface LedgerSaved {
  readonly isPaused: boolean;
  /** As an operator has set it; `null`: as configured. */
  readonly mode: CaptureMode | null;
  /** Contract: `SettleResult.heldRevision`. */
  readonly heldRevision?: bigint;
  /** The write's own xid: taken after every read that the written state rests on. */
  readonly xid: bigint;
}

/**
 * The stored ledger of one route, held under an epoch. Every write is one autocommit statement that changes nothing
 * once another owner has raised the epoch (`CaptureError` `fenced`). Errors are `CaptureError`.
 */
export interface LedgerStorePort {
  claim(request: LedgerClaimRequest): Promise<LedgerClaim>;
  /**
   * Writes `next` over what this store wrote or claimed last, and extends the lease. Gaps without a bound get the
   * write's xid. `taken` are the positions of the rows that `next` has settled since (`LedgerStep.taken` of each
   * reading, in order): they are counted by leaf in the same statement.
   * `unsettledMs`: for so long the oldest page that `next` has not settled has been on its way; 0 without one. A repair
   * after a fail-over looks so far back for what was sent. `notes` go into the same statement.
   */
  save(
    next: LedgerState,
    taken: readonly (readonly Position[])[],
    unsettledMs: number,
    notes?: LedgerNotes,
  ): Promise<LedgerSaved>;
  /** Gives the lease back if it is still ours, and closes the connection. */
  release(): Promise<void>;
}
