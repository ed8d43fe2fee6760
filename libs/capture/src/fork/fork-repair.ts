import { type Epoch, type EventId, type Position } from '@millrace/events';

/** A record of the route that was found in one of its topics. */
export interface PublishedRecord {
  readonly position: Position;
  readonly id: EventId;
  /** The record's `millrace-low`: consumers take what lies at or below it for applied. */
  readonly low: Position;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** False for a record of another shard of the route: it proves that an event was sent, and others tell if it was lost. */
  readonly isOwn: boolean;
}

/** What a repair has done. */
export interface ForkReport {
  /** Not settled in the ledger, but in the topics: settled, without a second copy. */
  readonly found: number;
  /** Not in the topics, at positions that are used up there: copied to new positions above all that were ever used. */
  readonly moved: number;
  /** In the topics, but not in the database: it has lost them. */
  readonly lost: number;
  /** The row of `millrace.incident` that lists what was lost; `null` when nothing was. */
  readonly incident: string | null;
}

/** `waiting`: for a writer that may still hold positions, or for the repair of another route; call again a moment later. */
export type ForkStep =
  { readonly kind: 'waiting'; readonly holder: string } | { readonly kind: 'repaired'; readonly report: ForkReport };

/**
 * The ledger of a route on another server, or another branch of its history, than the one it was written on: after a
 * fail-over, a restore or a move. Database, ledger and sequence went back together, the topics did not. Nothing may be
 * published before the repair is complete; until then the ledger keeps its old identity, so a repair that ends early is
 * begun anew by the next claim.
 *
 * Use: `begin`, `keep` every record of the route since `sinceMs` that its topics have, `complete` until it is
 * `repaired`, `close`; then claim the route again. Each call but `close` asks for the epoch and renews the lease; all
 * throw `CaptureError`, `fenced` when another owner has the route.
 */
export interface ForkRepair {
  readonly epoch: Epoch;
  /** Milliseconds since 1970: nothing was published before that the ledger has not settled, clocks up to ten minutes apart. */
  readonly sinceMs: number;
  begin(): Promise<void>;
  keep(records: readonly PublishedRecord[]): Promise<void>;
  renew(): Promise<void>;
  /** From now on positions are settled or moved: `keep` must have had every record. */
  complete(): Promise<ForkStep>;
  /** The topics cannot be read back: the lease is given back. Idempotent, safe after `complete`. */
  close(): Promise<void>;
}
