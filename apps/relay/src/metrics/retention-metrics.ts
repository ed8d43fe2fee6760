import { type LeafState, type RetentionAlarm } from '@millrace/capture';
import { type SourceHistory } from '../retention/source-retention.js';

/*
 * Every metric of retention, once. Labels: a source of the configuration, a route that has a ledger in it, a state or
 * name of a closed list.
 */

const SOURCE_LABELS = ['source'] as const;

/** One series per source each, as the last run found it; `null` while that is not known. */
export interface HistoryGauge {
  readonly name: string;
  readonly help: string;
  readonly valueOf: (history: SourceHistory) => number | null;
}

export const HISTORY_GAUGES: readonly HistoryGauge[] = [
  {
    name: 'millrace_retention_outbox_bytes',
    help: 'Bytes of all tables of the outbox, with indexes; absent while the source cannot be read',
    valueOf: (history) => knownOf(history)?.status.bytes ?? null,
  },
  {
    name: 'millrace_retention_oldest_row_seconds',
    help: 'Age of the oldest row of the outbox; absent without one and while the source cannot be read',
    valueOf: (history) => inSeconds(knownOf(history)?.status.oldestAgeMs ?? null),
  },
  {
    name: 'millrace_retention_default_partition_bytes',
    help: 'Bytes of the default partition of the outbox; 0 unless it has rows, which need a person to look',
    valueOf: (history) => defaultBytesOf(knownOf(history)),
  },
  {
    name: 'millrace_retention_last_success_timestamp_seconds',
    help: 'Unix time of the last run that got to its end; absent before the first one',
    valueOf: ({ lastRun }) => inSeconds(lastRun?.atMs ?? null),
  },
];

/** The states of `millrace_retention_leaves`. */
export const LEAF_STATES: Readonly<Record<LeafState, true>> = {
  ahead: true,
  filling: true,
  kept: true,
  young: true,
  held: true,
  due: true,
  emptied: true,
  empty: true,
  locked: true,
  busy: true,
  not_counted: true,
  no_route: true,
  in_use: true,
  miscounted: true,
  identity_changed: true,
  unknown_leaf: true,
};

export const LEAVES = {
  name: 'millrace_retention_leaves',
  help: 'Leaves of the outbox by state: what they wait for before they are emptied',
  labelNames: [...SOURCE_LABELS, 'state'],
} as const;

/** The names of `millrace_retention_alarms`. */
export const ALARM_NAMES: Readonly<Record<RetentionAlarm['kind'], true>> = {
  leaf_miscounted: true,
  identity_changed: true,
  default_partition_not_empty: true,
  archive_failed: true,
  route_over_limit: true,
  route_expired: true,
  slot_left: true,
  archive_missing: true,
};

export const ALARMS = {
  name: 'millrace_retention_alarms',
  help: 'Alarms by name, each for a leaf or a route that a person has to look at; GET /admin/v1/retention tells which',
  labelNames: [...SOURCE_LABELS, 'alarm'],
} as const;

export const HELD_POSITIONS = {
  name: 'millrace_retention_held_positions',
  help: 'Positions that a route keeps from being removed although they are old enough; 0 when it holds nothing up',
  labelNames: [...SOURCE_LABELS, 'route'],
} as const;

export const HELD_SECONDS = {
  name: 'millrace_retention_held_seconds',
  help: 'Age of the oldest leaf that a route keeps from being removed, by its newest row; 0 when it holds nothing up',
  labelNames: [...SOURCE_LABELS, 'route'],
} as const;

export const LEAVES_EMPTIED = {
  name: 'millrace_retention_leaves_emptied_total',
  help: 'Leaves that this relay has emptied',
  labelNames: SOURCE_LABELS,
} as const;

export const ROWS_REMOVED = {
  name: 'millrace_retention_rows_removed_total',
  help: 'Rows of the leaves that this relay has emptied',
  labelNames: SOURCE_LABELS,
} as const;

export const LEAVES_ARCHIVED = {
  name: 'millrace_retention_leaves_archived_total',
  help: 'Leaves that this relay has written to the archive',
  labelNames: SOURCE_LABELS,
} as const;

export const ROUTES_EXPIRED = {
  name: 'millrace_retention_routes_expired_total',
  help: 'Routes that this relay has found over a limit for too long and has let expire',
  labelNames: SOURCE_LABELS,
} as const;

export const RUNS = {
  name: 'millrace_retention_runs_total',
  help: 'Runs by code: ok, or why the run did not get to its end',
  labelNames: [...SOURCE_LABELS, 'code'],
} as const;

/** What the last run found, while that still holds. */
export function knownOf({ lastRun, problem }: SourceHistory): SourceHistory['lastRun'] {
  return problem === null ? lastRun : null;
}

function defaultBytesOf(run: SourceHistory['lastRun']): number | null {
  return run === null ? null : (run.status.defaultPartition?.bytes ?? 0);
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000;
}
