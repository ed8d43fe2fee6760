import { type Position } from '@millrace/events';

/**
 * One of `count` parts of a route: number `number`, from 1, sends to the sink partitions p with p % count = number - 1. So
 * every partition has one writer, and every event one shard.
 */
export interface RouteShard {
  /** The route. */
  readonly of: string;
  readonly number: number;
  readonly count: number;
}

/** More would read every row more often than any server likes. */
export const SHARDS_MAX = 64;

/** The name of a shard's ledger, and what stands in its records as their route: the route's own while it is not divided. */
export function ledgerName({ of, number, count }: RouteShard): string {
  return count === 1 ? of : `${of}/${String(number)}`;
}

/** Who wants another number of shards, and why. */
export interface ShardsRequest {
  readonly route: string;
  /** 1 to `SHARDS_MAX`; the number in force while another one is wanted calls the change off. */
  readonly shards: number;
  readonly actor: string;
  readonly reason: string | null;
}

/** How a route is divided, by its database. */
export interface RouteShards {
  readonly route: string;
  /** The shards that the route has. */
  readonly inForce: number;
  /** The number that it is on its way to; `null`: none. */
  readonly wanted: number | null;
  /** While on the way: all shards settle what is at or below it, and nothing above. */
  readonly fence: Position | null;
  /** By number. */
  readonly shards: readonly ShardProgress[];
}

/** How far a shard is. */
export interface ShardProgress {
  /** As `RouteStatus.route`. */
  readonly name: string;
  readonly low: Position;
  /** Who has a valid lease on it; `null`: nobody. */
  readonly owner: string | null;
  readonly isPaused: boolean;
  /** While the number changes: it has settled all that it has to. */
  readonly isDrained: boolean;
}
