import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CaptureMode } from '@millrace/capture';
import { copyWithEdits } from '../../harness/libs-copy.js';
import { say } from '../../harness/say.js';
import { RowWorld, type RowSetup, type RowVerdict } from '../capture/row-world.js';
import { LaneClock } from './lane-clock.js';
import { headingText, isPassed, publishLine } from './publish-report.js';
import { type RowDescription } from './publish-row.js';

/** What one run is asked to do. */
export interface PublishFaultsOptions {
  readonly mode: CaptureMode;
  readonly seed: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly kills: number;
}

/** What an attempt at a row is given. */
export interface RowAttempt extends PublishFaultsOptions {
  /** Of the whole run. */
  readonly folder: string;
  /** The programs of the tests, on a copy of the libraries which builds beside the run do not disturb. */
  readonly programs: string;
  readonly lanes: LaneClock;
}

/** Rows that have what they publish to in common. */
export interface RowSeries<Row extends RowDescription> {
  /** For the heading of their table. */
  readonly subject: string;
  readonly rows: readonly Row[];
  attempt(row: Row, given: RowAttempt): Promise<RowVerdict>;
  /** After each of them. */
  readonly rowEnded?: (isPassed: boolean) => Promise<void>;
  /** After the last. */
  readonly close?: () => Promise<void>;
}

/** One row after the other; nothing, where there is none. True when every promise was kept and every control was found. */
export async function runSeries<Row extends RowDescription>(
  series: RowSeries<Row>,
  options: PublishFaultsOptions,
): Promise<boolean> {
  if (series.rows.length === 0) {
    return true;
  }
  say(headingText({ ...options, subject: series.subject }));
  const folder = mkdtempSync(join(tmpdir(), 'millrace-publish-'));
  chmodSync(folder, 0o755); // PostgreSQL may run under another account
  let isAllPassed = true;
  try {
    const programs = copyWithEdits(join(folder, 'programs'), []);
    for (const row of series.rows) {
      const startedMs = performance.now();
      const lanes = new LaneClock();
      const verdict = await series.attempt(row, { ...options, folder, programs, lanes });
      const outcome = { row, verdict, longestGap: lanes.longest, seconds: (performance.now() - startedMs) / 1_000 };
      say(publishLine(outcome));
      await series.rowEnded?.(isPassed(outcome));
      isAllPassed &&= isPassed(outcome);
    }
  } finally {
    await series.close?.();
  }
  if (isAllPassed) {
    rmSync(folder, { recursive: true, force: true });
  } else {
    say(`logs: ${folder}`);
  }
  return isAllPassed;
}

/**
 * Makes the world of a row, lets it be done there, and judges. An error of the run itself is a finding, too, and so is a
 * control that says that it did not find what is wrong.
 */
export async function attemptIn(
  setup: Omit<RowSetup, 'row'> & { readonly lanes: LaneClock; readonly row: Omit<RowSetup['row'], 'modes' | 'run'> },
  perform: (world: RowWorld) => Promise<RowVerdict>,
): Promise<RowVerdict> {
  const { folder, row, mode, client, lanes } = setup;
  mkdirSync(join(folder, `row-${row.id}-${mode}-${client}`), { mode: 0o755 });
  const world = await RowWorld.create({
    ...setup,
    row: { ...row, modes: [mode], run: async () => Promise.resolve() },
  });
  try {
    return await perform(world);
  } catch (error) {
    world.found('other', error instanceof Error ? error.message : String(error));
    return world.brokenOff();
  } finally {
    lanes.end();
    await world.close();
  }
}
