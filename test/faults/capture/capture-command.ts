import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { CAPTURE_MODES, type CaptureMode } from '@millrace/capture';
import { KAFKA_CLIENTS } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { CAPTURE_ROW_IDS, runCaptureFaults } from './capture-faults.js';
import { LONG_ROWS } from './relay-rows.js';

/** Those that run unless others are asked for. */
const DEFAULT_ROW_IDS = CAPTURE_ROW_IDS.filter((id) => LONG_ROWS.every((row) => row.id !== id));

/** How the command is called. */
export const CAPTURE_USAGE = `  npm run test:faults -- capture [--rows ${DEFAULT_ROW_IDS.join()}] [--mode polling|wal|auto|both]
                                 [--client platformatic|kafkajs|both] [--seed N]
  npm run test:faults -- take-over [the same]       of four routes by two relays, for a minute: capture --rows C3
  npm run test:faults -- switch [the same]          of the mode of capture, for two minutes: capture --rows C6`;

/** Runs rows of capture's part of the matrix; returns the exit code. */
export async function runCapture(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: 'string', default: DEFAULT_ROW_IDS.join() },
      mode: { type: 'string', default: 'both' },
      client: { type: 'string', default: 'platformatic' },
      seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
    },
  });
  const rows = values.rows.split(',');
  const modes: readonly CaptureMode[] =
    values.mode === 'both' ? ['polling', 'wal'] : CAPTURE_MODES.filter((mode) => mode === values.mode);
  const clients = KAFKA_CLIENTS.filter((client) => values.client === 'both' || values.client === client);
  const isKnown = rows.every((row) => CAPTURE_ROW_IDS.includes(row)) && /^[1-9]\d{0,8}$/.test(values.seed);
  if (!isKnown || modes.length === 0 || clients.length === 0) {
    say(`Usage:\n${CAPTURE_USAGE}`);
    return 2;
  }
  let isPassed = true;
  for (const client of clients) {
    const isRunPassed = await runCaptureFaults({ client, rows, modes, seed: Number(values.seed) });
    isPassed &&= isRunPassed;
  }
  say(isPassed ? '\nNo promise was broken.' : '\nA promise was broken: see above.');
  return isPassed ? 0 : 1;
}
