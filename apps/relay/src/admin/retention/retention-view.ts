import { bytesText, durationText, type LeafStatus, type RouteRetention } from '@millrace/capture';
import { z } from 'zod';
import { LEAF_STATES } from '../../metrics/retention-metrics.js';
import { alarmText } from '../../retention/alarm-text.js';
import { defaultPartitionOf, leavesOf } from '../../retention/leaves-of.js';
import { type LastRun, type SourceHistory } from '../../retention/source-retention.js';
import { bigNumber, count } from '../routes/view-numbers.js';

const seconds = z.number().nullable();

const leafView = z
  .object({
    table: z.string(),
    lo: bigNumber.describe('first position; 0 is the default partition'),
    last: bigNumber.describe('last position'),
    rows: count().describe("about, by the server's statistics"),
    bytes: count().describe('with indexes'),
    oldestSeconds: seconds.describe('age of the oldest row; null without one'),
    newestSeconds: seconds.describe('age of the newest row; null without one'),
    state: z.enum(Object.keys(LEAF_STATES)),
    route: z.string().nullable().describe('the route that it waits for, where it is one'),
  })
  .describe(
    'ahead: for later positions; filling: new rows go to it; kept: settled, and nothing is ever removed; young: not old ' +
      'enough; held: a route has not settled it; due: it goes at the next run, or its archive failed; emptied and empty: ' +
      'without rows; locked, busy, in_use, not_counted, no_route: waits, and goes by itself when that is over; ' +
      'miscounted, identity_changed: a person has to look',
  );

const holdView = z
  .object({
    route: z.string().describe('the ledger: a route, or one of its shards'),
    low: bigNumber.describe('all positions at or below are settled'),
    isExpired: z.boolean(),
    leaves: count().describe('leaves that are old enough to go and wait for this route'),
    bytes: count(),
    positions: bigNumber.describe('from low to the last position of these leaves'),
    oldestSeconds: z.number().describe('age of the oldest of these leaves, by its newest row'),
  })
  .describe('what a route keeps from being removed');

const sourceView = z.object({
  source: z.string(),
  policy: z
    .object({
      keep: z.string(),
      maxAge: z.string().nullable(),
      maxBytes: z.string().nullable(),
      archive: z.string().nullable().describe('the directory'),
    })
    .nullable()
    .describe('null: rows are kept for ever'),
  lastRun: z
    .object({
      at: z.string().describe('RFC 3339, UTC').meta({ format: 'date-time' }),
      leavesEmptied: count(),
      rowsRemoved: count(),
      leavesDropped: count(),
    })
    .nullable()
    .describe('the last run that got to its end, which all that follows is from'),
  problem: z
    .object({ code: z.string(), message: z.string() })
    .nullable()
    .describe('why the latest run did not get to its end; null when it did'),
  lastPosition: bigNumber.nullable().describe('the last position that was given out'),
  bytes: count().nullable().describe('of all leaves and the default partition'),
  oldestRowSeconds: seconds,
  leavesTotal: count().nullable(),
  leaves: z.array(leafView).describe('by position; with very many only the oldest ones'),
  defaultPartition: leafView.nullable().describe('null: it has no rows, as it should be'),
  routes: z.array(holdView),
  alarms: z
    .array(z.object({ name: z.string(), message: z.string() }))
    .describe('what a person has to look at, until it is over'),
});

/** The history of every source as the admin API shows it. */
export const retentionViewSchema = z
  .object({ relay: z.string().describe('the relay that answers'), sources: z.array(sourceView) })
  .meta({ title: 'Retention' });

export type RetentionView = z.infer<typeof retentionViewSchema>;

type SourceView = RetentionView['sources'][number];

/** What the last runs found, in the form of the API. */
export function retentionViewOf(relay: string, histories: readonly SourceHistory[]): RetentionView {
  return { relay, sources: histories.map(sourceViewOf) };
}

function sourceViewOf({ source, retention, lastRun, problem, alarms }: SourceHistory): SourceView {
  return {
    source,
    policy: retention === undefined ? null : policyViewOf(retention),
    problem,
    ...(lastRun === null ? NEVER_RUN : foundBy(lastRun)),
    alarms: alarms.map((alarm) => ({ name: alarm.kind, message: alarmText(alarm) })),
  };
}

const NEVER_RUN = {
  lastRun: null,
  lastPosition: null,
  bytes: null,
  oldestRowSeconds: null,
  leavesTotal: null,
  leaves: [],
  defaultPartition: null,
  routes: [],
} satisfies Partial<SourceView>;

function foundBy(run: LastRun): Omit<SourceView, 'source' | 'policy' | 'problem' | 'alarms'> {
  const { status, report, atMs } = run;
  const emptied = report?.emptied ?? [];
  const fallback = defaultPartitionOf(run);
  return {
    lastRun: {
      at: new Date(atMs).toISOString(),
      leavesEmptied: emptied.length,
      rowsRemoved: emptied.reduce((sum, { rows }) => sum + rows, 0),
      leavesDropped: report?.leavesDropped ?? 0,
    },
    lastPosition: String(status.lastPosition),
    bytes: status.bytes,
    oldestRowSeconds: inSeconds(status.oldestAgeMs),
    leavesTotal: status.leavesTotal,
    leaves: leavesOf(run).map(leafViewOf),
    defaultPartition: fallback === null ? null : leafViewOf(fallback),
    routes: status.routes.map(holdViewOf),
  };
}

function policyViewOf({
  policy: { keepMs, maxAgeMs, maxBytes },
  archiveDirectory,
}: NonNullable<SourceHistory['retention']>): NonNullable<SourceView['policy']> {
  return {
    keep: durationText(keepMs),
    maxAge: maxAgeMs === null ? null : durationText(maxAgeMs),
    maxBytes: maxBytes === null ? null : bytesText(maxBytes),
    archive: archiveDirectory,
  };
}

function leafViewOf(leaf: LeafStatus): z.infer<typeof leafView> {
  const { table, lo, last, rows, bytes, oldestAgeMs, newestAgeMs, state, route } = leaf;
  return {
    table,
    lo: String(lo),
    last: String(last),
    rows,
    bytes,
    oldestSeconds: inSeconds(oldestAgeMs),
    newestSeconds: inSeconds(newestAgeMs),
    state,
    route,
  };
}

function holdViewOf({
  route,
  low,
  isExpired,
  leaves,
  bytes,
  positions,
  ageMs,
}: RouteRetention): z.infer<typeof holdView> {
  return {
    route,
    low: String(low),
    isExpired,
    leaves,
    bytes,
    positions: String(positions),
    oldestSeconds: ageMs / 1_000,
  };
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000;
}
