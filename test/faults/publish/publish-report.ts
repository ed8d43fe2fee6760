import { loadavg } from 'node:os';
import { machineText } from '../../bench/machine.js';
import { type Finding } from '../capture/findings.js';
import { type RowVerdict } from '../capture/row-world.js';
import { type LaneGap } from './lane-clock.js';
import { type RowDescription } from './publish-row.js';

/** How a run of a row came out. */
export interface PublishOutcome {
  readonly row: RowDescription;
  readonly verdict: RowVerdict;
  /** `undefined` in a row that does not measure it. */
  readonly longestGap: LaneGap | undefined;
  readonly seconds: number;
}

/** What a table of results is about. */
export interface PublishHeading {
  /** What the relays publish to and with. */
  readonly subject: string;
  readonly mode: string;
  readonly seed: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
}

const EXAMPLES = 3;

/** The lines above the results, so that they can be understood where they are pasted. */
export function headingText({ subject, mode, seed, seconds, eventsPerSecond }: PublishHeading): string {
  const asked = `capture ${mode}, seed ${seed}, ${seconds} s of ${eventsPerSecond} events/s where the load is part of the row`;
  return `
**${subject}**, ${asked}; ${new Date().toISOString().slice(0, 16)}Z, ${machineText()}, load of the machine ${loadText()}.

| row | result | events | lost | phantom | reordered | repeats | longest without ack | again after | seen | load | s |
|---|---|---|---|---|---|---|---|---|---|---|---|`;
}

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
    isPassed(outcome) ? passedText(row) : `FAILED: ${findingsText(findings)}`,
    ...ofEvents,
    secondsText(longestGap?.ms),
    secondsText(recoveredMs),
    notes.join('; '),
    loadText(),
    String(Math.round(seconds)),
  ];
  return `| ${cells.join(' | ')} |`;

  function eventCells(): string[] {
    return [String(committed), count('lost'), count('phantom'), count('order'), String(repeats)];
  }
}

function passedText({ isControl }: RowDescription): string {
  return isControl === true ? 'found, as it must be' : 'passed';
}

/** Over the last minute. */
function loadText(): string {
  const [lastMinute = 0] = loadavg();
  return lastMinute.toFixed(1);
}

function secondsText(ms: number | undefined): string {
  return ms === undefined ? '' : `${(ms / 1_000).toFixed(1)} s`;
}

function findingsText(findings: readonly Finding[]): string {
  const examples = findings.slice(0, EXAMPLES).map(({ kind, text }) => `${kind}: ${text}`);
  return findings.length === 0 ? 'nothing was committed' : `${findings.length} problems, ${examples.join('; ')}`;
}
