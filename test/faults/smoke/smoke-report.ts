import { loadavg } from 'node:os';
import { type ApiClient } from '../../harness/api-client.js';
import { fateOf } from './order-fate.js';
import { type Mayhem } from './mayhem.js';
import { type Settled } from './settling.js';
import { eventsByOrder, type Violation, VIOLATION_KINDS } from './shop-check.js';
import { type ShopSamples } from './shop-samples.js';
import { type ShopState } from './shop-state.js';
import { type ShopTruth } from './shop-truth.js';
import { type SmokeOptions } from './smoke-faults.js';

/** What a run has shown. */
export interface SmokeReport {
  readonly options: SmokeOptions;
  readonly loadMs: number;
  readonly settled: Settled;
  readonly truth: ShopTruth;
  readonly client: ApiClient;
  readonly sampled: ShopSamples['counts'];
  readonly kills: Mayhem['summary'];
  /** Ends of programs that nobody had killed. */
  readonly unasked: number;
  readonly state: ShopState;
  /** In the three topics. */
  readonly records: number;
  readonly repeats: number;
  readonly violations: readonly Violation[];
  readonly timelines: readonly string[];
}

const EXAMPLES = 8;
const DATE = new Date().toISOString().slice(0, 10);

/** A table in Markdown, and below it what was wrong, if anything was. */
export function reportLines(report: SmokeReport): string[] {
  const { options, violations } = report;
  return [
    '',
    `| ${DATE}, seed ${options.seed} | ${options.client} |`,
    '|---|---|',
    ...rowsOf(report).map(([what, value]) => `| ${what} | ${value} |`),
    '',
    ...violations
      .filter(({ kind }, index) => violations.slice(0, index).filter((one) => one.kind === kind).length < EXAMPLES)
      .map(({ kind, orderId, text }) => `  ${kind}: ${orderId === undefined ? '' : `order ${orderId}: `}${text}`),
    ...report.timelines.map((line) => `  ${line}`),
    violations.length === 0 ? '  passed' : `  FAILED: ${violations.length} violations`,
  ];
}

function rowsOf(report: SmokeReport): [string, string][] {
  const { truth, client, sampled, settled, state, violations } = report;
  const { twins, repeated, cancelsTaken, cancelsLate } = truth.tallies;
  const events = Object.values(state.events).reduce((sum, { length }) => sum + length, 0);
  return [
    ['load of the machine over the last 5 minutes', loadavg()[1]?.toFixed(1) ?? ''],
    ['kills (longest until ready again)', killsText(report)],
    ['ends that nobody caused', String(report.unasked)],
    ['orders accepted', `${count(truth.orders.size)} in ${seconds(report.loadMs)}`],
    ['fates', fatesText(state)],
    ['cancellations accepted / too late', `${count(cancelsTaken)} / ${count(cancelsLate)}`],
    [
      'adjustments, counts with If-Match, deposits',
      `${count(truth.adjustments.size)}, ${count(truth.counts.length)}, ${count([...truth.deposits.values()].reduce((sum, { size }) => sum + size, 0))}`,
    ],
    ['requests made again for want of an answer', count(client.repeats)],
    ['same key again / twice at once, answered the same', `${count(repeated)} / ${count(twins)}`],
    [
      'all final / all at rest after the last order and the last kill',
      `${timeText(settled.finalMs)} / ${timeText(settled.atRestMs)}`,
    ],
    ['events committed', count(events)],
    ['positions of transactions that did not commit', count(state.rolledBack)],
    ['records in Kafka, of them repeats', `${count(report.records)}, ${count(report.repeats)}`],
    [
      'readings while it went on: snapshots in SQL / over HTTP / sums of all three',
      `${count(sampled.sql)} / ${count(sampled.http)} / ${count(sampled.rules)}`,
    ],
    ...VIOLATION_KINDS.map((kind): [string, string] => [
      `violations: ${kind}`,
      count(violations.filter((violation) => violation.kind === kind).length),
    ]),
  ];
}

function killsText({ kills }: SmokeReport): string {
  return kills
    .map(({ component, kills: times, longestMs }) => `${component} ${times} (${seconds(longestMs)})`)
    .join(', ');
}

function fatesText(state: ShopState): string {
  const counts = new Map<string, number>();
  for (const events of eventsByOrder(state).values()) {
    const fate = fateOf(events) ?? 'NONE THAT CAN BE';
    counts.set(fate, (counts.get(fate) ?? 0) + 1);
  }
  return [...counts].map(([fate, orders]) => `${fate} ${count(orders)}`).join('; ');
}

function timeText(milliseconds: number | undefined): string {
  return milliseconds === undefined ? 'never' : seconds(milliseconds);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}
