import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CaptureMode } from '@millrace/capture';
import { LocalKafka } from '@millrace/testing';
import { copyWithEdits, type LibEdit } from '../../harness/libs-copy.js';
import { type KafkaClient } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { type CaptureRow } from './capture-row.js';
import { CAPTURE_ROWS } from './capture-rows.js';
import { RowSkipped } from './findings.js';
import { RowWorld, type RowVerdict } from './row-world.js';
import { outcomeOf, resultLine, type RowOutcome, TABLE_HEAD } from './row-report.js';

/** What one run is asked to do. */
export interface CaptureFaultsOptions {
  readonly client: KafkaClient;
  readonly seed: number;
  readonly modes: readonly CaptureMode[];
  /** Of the matrix. */
  readonly rows: readonly string[];
}

/** The rows that there are. */
export const CAPTURE_ROW_IDS: readonly string[] = CAPTURE_ROWS.map(({ id }) => id);

/**
 * Each row of the matrix in each mode in which it means something, on a PostgreSQL of its own. True when every promise
 * was kept; a row that the machine cannot do is named, and counts neither way.
 */
export async function runCaptureFaults(options: CaptureFaultsOptions): Promise<boolean> {
  const { client, seed, modes, rows } = options;
  say(`\n${client}, seed ${seed}\n\n${TABLE_HEAD}`);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-capture-'));
  chmodSync(folder, 0o755); // PostgreSQL may run under another account
  const kafka = new LocalKafka({ dataDir: join(folder, 'kafka'), heapMb: 512, temporaryDir: folder });
  const outcomes: RowOutcome[] = [];
  try {
    const relayMain = relayWithEdits(join(folder, 'programs'), []);
    await kafka.start();
    const shared = { folder, brokers: kafka.brokers, relayMain, client, seed };
    for (const row of CAPTURE_ROWS.filter(({ id }) => rows.includes(id))) {
      for (const mode of row.modes.filter((each) => modes.includes(each))) {
        const startedMs = performance.now();
        const outcome = await attempt({ ...shared, row, mode });
        outcomes.push(outcome);
        say(resultLine({ row, mode, outcome, seconds: (performance.now() - startedMs) / 1_000 }));
      }
    }
  } finally {
    await kafka.stop();
    rmSync(join(folder, 'kafka'), { recursive: true, force: true });
  }
  const isPassed = outcomes.every(({ kind }) => kind !== 'failed');
  if (isPassed) {
    rmSync(folder, { recursive: true, force: true });
  } else {
    say(`logs: ${folder}`);
  }
  return isPassed;
}

/** The program of a relay on a copy of the libraries, which builds beside the run do not disturb. */
function relayWithEdits(folder: string, edits: readonly LibEdit[]): string {
  return join(copyWithEdits(folder, edits), '..', 'apps', 'relay', 'main.js');
}

interface Attempt {
  readonly folder: string;
  readonly brokers: readonly string[];
  readonly relayMain: string;
  readonly client: KafkaClient;
  readonly seed: number;
  readonly row: CaptureRow;
  readonly mode: CaptureMode;
}

/** The outcome of one run of a row. An error of the run itself is a finding, too. */
async function attempt(setup: Attempt): Promise<RowOutcome> {
  const reason = setup.row.unable?.();
  if (reason !== undefined) {
    return { kind: 'skipped', reason };
  }
  const folder = join(setup.folder, `row-${setup.row.id}-${setup.mode}-${setup.client}`);
  mkdirSync(folder, { mode: 0o755 });
  const { edits } = setup.row;
  const relayMain = edits === undefined ? setup.relayMain : relayWithEdits(join(folder, 'programs'), edits);
  const world = await RowWorld.create({ ...setup, relayMain });
  try {
    return outcomeOf(await runIn(world));
  } catch (error) {
    if (error instanceof RowSkipped) {
      return { kind: 'skipped', reason: error.message };
    }
    world.found('other', error instanceof Error ? error.message : String(error));
    return outcomeOf(world.brokenOff());
  } finally {
    await world.close();
  }
}

async function runIn(world: RowWorld): Promise<RowVerdict> {
  await world.setup.row.run(world);
  return world.verdict();
}
