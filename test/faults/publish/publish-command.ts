import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { CAPTURE_MODES } from '@millrace/capture';
import { KAFKA_CLIENTS } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { KafkaSeries } from './kafka-series.js';
import { type PublishFaultsOptions, runSeries } from './publish-faults.js';
import { PUBLISH_ROWS, QUEUE_ROWS, rowsMeantBy } from './publish-rows.js';
import { QueueSeries } from './queue/queue-series.js';

const ROW_IDS: readonly string[] = [...PUBLISH_ROWS, ...QUEUE_ROWS].map(({ id }) => id);

/** How the command is called. */
export const PUBLISH_USAGE = `  npm run test:faults -- publish [--rows ${ROW_IDS.join()}]
                                 [--client platformatic|kafkajs|both] [--mode polling|wal|auto] [--seed N]
                                 [--seconds 180] [--rate 5000] [--kills 200]
                                 39 stands for 39a, 39b and 39c; rows 48 and 49 are on SQS, and run once`;

const OPTIONS = {
  rows: { type: 'string', default: ROW_IDS.join() },
  client: { type: 'string', default: 'both' },
  mode: { type: 'string', default: 'auto' },
  seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
  seconds: { type: 'string', default: '180' },
  rate: { type: 'string', default: '5000' },
  kills: { type: 'string', default: '200' },
} as const;

/** What is to be run: each is one table of results. */
type Runs = readonly ((options: PublishFaultsOptions) => Promise<boolean>)[];

/** Runs rows of publishing's part of the matrix; returns the exit code. */
export async function runPublish(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const options = optionsOf(values);
  const runs = runsOf(values.rows.split(','), values.client);
  if (options === undefined || runs.length === 0) {
    say(`Usage:\n${PUBLISH_USAGE}`);
    return 2;
  }
  let isPassed = true;
  for (const run of runs) {
    const isRunPassed = await run(options);
    isPassed &&= isRunPassed;
  }
  say(isPassed ? '\nNo promise was broken.' : '\nA promise was broken: see above.');
  return isPassed ? 0 : 1;
}

/** `undefined` when one is not known. */
function optionsOf(given: Record<keyof typeof OPTIONS, string>): PublishFaultsOptions | undefined {
  const mode = CAPTURE_MODES.find((each) => each === given.mode);
  const numbers = [given.seed, given.seconds, given.rate, given.kills];
  if (mode === undefined || !numbers.every((text) => /^[1-9]\d{0,8}$/.test(text))) {
    return undefined;
  }
  const [seed = 0, seconds = 0, eventsPerSecond = 0, kills = 0] = numbers.map(Number);
  return { mode, seed, seconds, eventsPerSecond, kills };
}

/**
 * The rows on Kafka for each client (a control, which has no relay, for the first), and those on SQS once. None when a row
 * or a client is not known.
 */
function runsOf(rows: readonly string[], client: string): Runs {
  const clients = KAFKA_CLIENTS.filter((each) => client === 'both' || client === each);
  const onKafka = rowsMeantBy(PUBLISH_ROWS, rows);
  const onQueues = rowsMeantBy(QUEUE_ROWS, rows);
  const areKnown = rows.every((row) => rowsMeantBy([...onKafka, ...onQueues], [row]).length > 0);
  if (!areKnown || clients.length === 0) {
    return [];
  }
  return [
    ...clients.map((each, index) => async (options: PublishFaultsOptions) => {
      const own = onKafka.filter(({ isControl }) => isControl !== true || index === 0);
      return runSeries(new KafkaSeries(own, each), options);
    }),
    async (options) => runSeries(new QueueSeries(onQueues), options),
  ];
}
