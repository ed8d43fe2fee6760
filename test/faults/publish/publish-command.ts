import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { CAPTURE_MODES } from '@millrace/capture';
import { KAFKA_CLIENTS } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { PUBLISH_ROW_IDS, type PublishFaultsOptions, runPublishFaults } from './publish-faults.js';

/** How the command is called. */
export const PUBLISH_USAGE = `  npm run test:faults -- publish [--rows ${PUBLISH_ROW_IDS.join()}]
                                 [--client platformatic|kafkajs|both] [--mode polling|wal|auto] [--seed N]
                                 [--seconds 180] [--rate 5000]`;

const OPTIONS = {
  rows: { type: 'string', default: PUBLISH_ROW_IDS.join() },
  client: { type: 'string', default: 'both' },
  mode: { type: 'string', default: 'auto' },
  seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
  seconds: { type: 'string', default: '180' },
  rate: { type: 'string', default: '5000' },
} as const;

/** Runs rows of publishing's part of the matrix; returns the exit code. */
export async function runPublish(args: readonly string[]): Promise<number> {
  const runs = runsOf(args);
  if (runs.length === 0) {
    say(`Usage:\n${PUBLISH_USAGE}`);
    return 2;
  }
  let isPassed = true;
  for (const run of runs) {
    const isRunPassed = await runPublishFaults(run);
    isPassed &&= isRunPassed;
  }
  say(isPassed ? '\nNo promise was broken.' : '\nA promise was broken: see above.');
  return isPassed ? 0 : 1;
}

/** One for each client; none when an option is not known. */
function runsOf(args: readonly string[]): readonly PublishFaultsOptions[] {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const rows = values.rows.split(',');
  const mode = CAPTURE_MODES.find((each) => each === values.mode);
  const numbers = [values.seed, values.seconds, values.rate];
  const areKnown = rows.every((row) => PUBLISH_ROW_IDS.includes(row));
  if (!areKnown || mode === undefined || !numbers.every((text) => /^[1-9]\d{0,8}$/.test(text))) {
    return [];
  }
  const [seed = 0, seconds = 0, eventsPerSecond = 0] = numbers.map(Number);
  const clients = KAFKA_CLIENTS.filter((client) => values.client === 'both' || values.client === client);
  return clients.map((client) => ({ client, mode, rows, seed, seconds, eventsPerSecond }));
}
