import { type CaptureMode } from '@millrace/capture';
import { type CaptureRow } from './capture-row.js';
import { type Finding } from './findings.js';
import { type RowVerdict } from './row-world.js';

/** How a run of a row came out. */
export type RowOutcome =
  | { readonly kind: 'passed' | 'failed'; readonly verdict: RowVerdict }
  | { readonly kind: 'skipped'; readonly reason: string };

/** What a line of the table tells. */
export interface RowResult {
  readonly row: CaptureRow;
  readonly mode: CaptureMode;
  readonly outcome: RowOutcome;
  readonly seconds: number;
}

const EXAMPLES = 3;

export const TABLE_HEAD = `| row | mode | result | events | repeats | publishes again after | seen | s |
|---|---|---|---|---|---|---|---|`;

/** Passed is what kept every promise. */
export function outcomeOf(verdict: RowVerdict): RowOutcome {
  return { kind: verdict.findings.length === 0 && verdict.committed > 0 ? 'passed' : 'failed', verdict };
}

/** One line of the table of results. */
export function resultLine({ row, mode, outcome, seconds }: RowResult): string {
  const cells = [`${row.id} ${row.title}`, mode, ...outcomeCells(outcome), String(Math.round(seconds))];
  return `| ${cells.join(' | ')} |`;
}

function outcomeCells(outcome: RowOutcome): string[] {
  if (outcome.kind === 'skipped') {
    return [`SKIPPED: ${outcome.reason}`, '', '', '', ''];
  }
  const { findings, notes, committed, repeats, recoveredMs } = outcome.verdict;
  const result = outcome.kind === 'passed' ? 'passed' : `FAILED: ${findingsText(findings)}`;
  const recovered = recoveredMs === undefined ? '' : `${(recoveredMs / 1_000).toFixed(1)} s`;
  return [result, String(committed), String(repeats), recovered, notes.join('; ')];
}

function findingsText(findings: readonly Finding[]): string {
  const examples = findings.slice(0, EXAMPLES).map(({ kind, text }) => `${kind}: ${text}`);
  return findings.length === 0 ? 'nothing was committed' : `${findings.length} problems, ${examples.join('; ')}`;
}
