import { type Finding } from '../capture/findings.js';
import { type RowVerdict } from '../capture/row-world.js';
import { type LaneGap } from './lane-clock.js';
import { type PublishRow } from './publish-row.js';

/** How a run of a row came out. */
export interface PublishOutcome {
  readonly row: PublishRow;
  readonly verdict: RowVerdict;
  /** `undefined` in a row that does not measure it. */
  readonly longestGap: LaneGap | undefined;
  readonly seconds: number;
}

const EXAMPLES = 3;

export const PUBLISH_TABLE_HEAD = `| row | result | events | lost | phantom | reordered | repeats | longest without ack | again after | seen | s |
|---|---|---|---|---|---|---|---|---|---|---|`;

/** Passed is what kept every promise; a row without a relay has no events of ours. */
export function isPassed({ row, verdict }: PublishOutcome): boolean {
  return verdict.findings.length === 0 && (verdict.committed > 0 || row.isControl === true);
}

/** One line of the table of results. */
export function publishLine(outcome: PublishOutcome): string {
  const { row, verdict, longestGap, seconds } = outcome;
  const { findings, committed, repeats, recoveredMs, notes } = verdict;
  const count = (kind: Finding['kind']): string => String(findings.filter((finding) => finding.kind === kind).length);
  const ofEvents = row.isControl === true ? ['', '', '', '', ''] : eventCells();
  const cells = [
    `${row.id} ${row.title}`,
    isPassed(outcome) ? 'passed' : `FAILED: ${findingsText(findings)}`,
    ...ofEvents,
    secondsText(longestGap?.ms),
    secondsText(recoveredMs),
    notes.join('; '),
    String(Math.round(seconds)),
  ];
  return `| ${cells.join(' | ')} |`;

  function eventCells(): string[] {
    return [String(committed), count('lost'), count('phantom'), count('order'), String(repeats)];
  }
}

function secondsText(ms: number | undefined): string {
  return ms === undefined ? '' : `${(ms / 1_000).toFixed(1)} s`;
}

function findingsText(findings: readonly Finding[]): string {
  const examples = findings.slice(0, EXAMPLES).map(({ kind, text }) => `${kind}: ${text}`);
  return findings.length === 0 ? 'nothing was committed' : `${findings.length} problems, ${examples.join('; ')}`;
}
