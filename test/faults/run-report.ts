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
  /** By what each epoch was ended, where it is known. */
  readonly endsOfEpochs: ReadonlyMap<bigint, string>;
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
  say(`  ${countText(report.faults)}; ${report.takeOvers} take-overs, ${report.crashes} crashes`);
  say(
    `  ${committed} events committed (${rate}/s) in ${counts.commits} transactions, ${counts.rollbacks} rolled back, ` +
      `${counts.unknown} cut off`,
  );
  const causes = verdict.repeats.map((repeat) => repeatCause(repeat, report.endsOfEpochs));
  say(
    `  ${verdict.delivered} records in the topic, ${causes.length} repeats${causes.length === 0 ? '' : `: ${countText(causes)}`}`,
  );
  const found = PROBLEM_KINDS.map((kind) => verdict.problems.filter((problem) => problem.kind === kind));
  say(`  ${PROBLEM_KINDS.map((kind, index) => `${kind} ${found[index]?.length ?? 0}`).join(', ')}`);
  found
    .flatMap((problems) => problems.slice(0, EXAMPLES))
    .forEach(({ kind, text }) => {
      say(`    ${kind}: ${text}`);
    });
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

/** The epoch grows with each take-over: a repeat with the same one was sent twice by the same relay. */
function repeatCause({ firstEpoch, epoch }: Repeat, ends: ReadonlyMap<bigint, string>): string {
  if (epoch === firstEpoch) {
    return 'sent again by the same relay';
  }
  return epoch < firstEpoch ? 'by a relay that had lost the route' : `after ${ends.get(firstEpoch) ?? 'a take-over'}`;
}

/** How often each name is there: `3 kill, 1 freeze`. */
export function countText(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
}
