/**
 * Why a leaf was not emptied. Nothing to do: `empty`, `ahead` (still being written), `young`. Waiting: `held` (a route
 * needs it; for no route: it ends with positions of which nothing came, and goes after the next row), `locked` (somebody
 * has a lock on it), `busy` (another relay is at work), `not_counted` (a route of an older release has not been claimed by
 * this one yet), `no_route` (no relay has ever read this outbox), `in_use` (the default partition: new rows still land in
 * it). For a person: `miscounted`, `identity_changed`. Gone: `unknown_leaf`.
 */
export type LeafObstacle =
  | 'empty'
  | 'ahead'
  | 'young'
  | 'held'
  | 'locked'
  | 'busy'
  | 'not_counted'
  | 'no_route'
  | 'in_use'
  | 'miscounted'
  | 'identity_changed'
  | 'unknown_leaf';

/** A leaf of the outbox; `lo` 0 is the default partition. */
export interface RetainedLeaf {
  readonly source: string;
  /** The table, as `millrace.outbox_p1`. */
  readonly table: string;
  readonly lo: bigint;
  /** Last position of the leaf; of the default partition, the last one that it holds. */
  readonly last: bigint;
}

/** Rows that were removed, all of them settled by every route that counts. */
export interface LeafEmptied extends RetainedLeaf {
  readonly rows: number;
}

/** A leaf that could be emptied but for `obstacle`. */
export interface LeafWaiting extends RetainedLeaf {
  readonly obstacle: LeafObstacle;
  /** The route that stands against it, where it is one. */
  readonly route: string | null;
}

/** A route that stopped counting: what it had not settled may be removed. */
export interface RouteExpired {
  readonly source: string;
  readonly route: string;
  readonly low: bigint;
  readonly leaves: number;
  readonly bytes: number;
  readonly ageMs: number;
}

/** A replication slot that was dropped because nobody runs its route. */
export interface SlotLetGo {
  readonly source: string;
  readonly route: string;
  readonly slot: string;
  /** WAL that the server kept for it. */
  readonly retainedBytes: bigint;
}

/** What a route holds beyond the time to keep. */
export interface RouteHold {
  readonly route: string;
  readonly low: bigint;
  readonly isExpired: boolean;
  readonly leaves: number;
  readonly bytes: number;
  /** Age of the newest row of the oldest leaf that it holds; 0 when it holds none. */
  readonly ageMs: number;
}

/** Something that a person has to look at, until it is over. */
export type RetentionAlarm = { readonly source: string } & (
  | {
      /** The rows of a leaf are not the ones that the route has read: the leaf stays. */
      readonly kind: 'leaf_miscounted';
      readonly table: string;
      readonly lo: bigint;
      readonly route: string;
      readonly found: number;
      readonly counted: number;
    }
  | { readonly kind: 'identity_changed'; readonly route: string }
  | { readonly kind: 'default_partition_not_empty'; readonly bytes: number }
  | { readonly kind: 'archive_failed'; readonly table: string; readonly lo: bigint; readonly error: unknown }
  /** Leaves could not be archived if any were due. `problem` is a sentence. */
  | { readonly kind: 'archive_missing'; readonly problem: string }
  | { readonly kind: 'route_over_limit'; readonly route: string; readonly leaves: number; readonly bytes: number }
  | { readonly kind: 'route_expired'; readonly route: string }
  | {
      /** The slot of a route that nobody runs has to go, and the relay's role may not drop it. */
      readonly kind: 'slot_left';
      readonly route: string;
      readonly slot: string;
      readonly retainedBytes: bigint;
    }
);

/** What one run found and did; for gauges and the admin API. */
export interface RetentionReport {
  readonly source: string;
  readonly emptied: readonly LeafEmptied[];
  /** Leaves that are written to their end and still have rows; the first ones only, where there are many. */
  readonly waiting: readonly LeafWaiting[];
  readonly leavesDropped: number;
  /** 0 unless rows landed in the default partition. */
  readonly defaultBytes: number;
  readonly routes: readonly RouteHold[];
  readonly alarms: readonly RetentionAlarm[];
}

/**
 * What retention tells while it works: for metrics, logs and tests. Called synchronously: be quick, do not throw. An
 * alarm is told once when it begins and once when it is over; `ran` comes after each run that got to its end.
 */
export interface RetentionObserver {
  leafEmptied?(leaf: LeafEmptied): void;
  leavesDropped?(dropped: { readonly source: string; readonly leaves: number }): void;
  routeExpired?(expired: RouteExpired): void;
  slotLetGo?(slot: SlotLetGo): void;
  alarmRaised?(alarm: RetentionAlarm): void;
  alarmCleared?(alarm: RetentionAlarm): void;
  ran?(report: RetentionReport): void;
}
