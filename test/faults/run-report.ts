import { say } from '../harness/say.js';
import { type DeliveryVerdict, PROBLEM_KINDS, type Repeat } from './delivery-check.js';
import { type Fault } from './schedule.js';
import { type WorkloadCounts } from './workload.js';

/** What a run has shown. */
export interface RunReport {
  readonly faults: readonly Fault['kind'][];
  readonly takeOvers: number;
  /** Ends of a relay that nobody had killed. */
  readonly crashes: number;
  readonly counts: WorkloadCounts;
  readonly committed: number;
  /** Milliseconds from the end of the last fault until nothing was left to send; `undefined` when it took too long. */
  readonly caughtUpMs: number | undefined;
  readonly verdict: DeliveryVerdict;
  /** Lines of the relays' logs in which a route stopped for good. */
  readonly stops: readonly string[];
}

const EXAMPLES = 3;

/** Prints the report; true when no promise was broken. */
export function printReport(report: RunReport): boolean {
  const { counts, committed, verdict, caughtUpMs, stops } = report;
  const rate = Math.round(committed / counts.seconds);
  say(`  ${faultCounts(report.faults)}; ${report.takeOvers} take-overs, ${report.crashes} crashes`);
  say(
    `  ${committed} events committed (${rate}/s) in ${counts.commits} transactions, ${counts.rollbacks} rolled back, ` +
      `${counts.unknown} cut off`,
  );
  say(`  ${verdict.delivered} records in the topic, ${repeatText(verdict.repeats)}`);
  for (const kind of PROBLEM_KINDS) {
    const found = verdict.problems.filter((problem) => problem.kind === kind);
    say(`  ${kind}: ${found.length}`);
    found.slice(0, EXAMPLES).forEach(({ text }) => {
      say(`    ${text}`);
    });
  }
  say(
    `  nothing left to send ${caughtUpMs === undefined ? 'NOT within 30 s' : `after ${(caughtUpMs / 1_000).toFixed(1)} s`}`,
  );
  say(`  routes stopped: ${stops.length}`);
  stops.slice(0, EXAMPLES).forEach((line) => {
    say(`    ${line}`);
  });
  const isPassed = verdict.problems.length === 0 && caughtUpMs !== undefined && stops.length === 0 && committed > 0;
  say(isPassed ? '  passed' : '  FAILED');
  return isPassed;
}

function faultCounts(faults: readonly Fault['kind'][]): string {
  const counts = new Map<string, number>();
  for (const kind of faults) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
}

/** The epoch grows with each take-over: a repeat with the same one was sent twice by the same relay. */
function repeatText(repeats: readonly Repeat[]): string {
  const takeOver = repeats.filter(({ firstEpoch, epoch }) => epoch > firstEpoch).length;
  const resent = repeats.filter(({ firstEpoch, epoch }) => epoch === firstEpoch).length;
  const late = repeats.length - takeOver - resent;
  return `${repeats.length} repeats: ${takeOver} after a take-over, ${resent} sent again by the same relay, ${late} by a relay that had lost the route`;
}
