import { type KafkaClient } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { type Servers, startServers } from '../../harness/servers.js';
import { type AppliedProblem } from './applied-check.js';
import { FAULT_ROWS } from './fault-rows.js';
import { type FaultRow, type WrongRule } from './fault-row.js';
import { batchSizeOf, RowWorld } from './row-world.js';

/** What one run is asked to do. */
export interface ConsumeFaultsOptions {
  readonly client: KafkaClient;
  readonly seed: number;
  /** Numbers of the matrix. */
  readonly rows: readonly number[];
}

/** How one run of a row came out. */
interface Outcome {
  readonly isAsExpected: boolean;
  readonly text: string;
}

const EXAMPLES = 3;
const KAFKA_SETTINGS = { 'group.min.session.timeout.ms': 1_000 };
const POSTGRES_SETTINGS = { shared_buffers: '256MB', deadlock_timeout: '100ms' };

/** The rows that there are. */
export const CONSUME_ROWS: readonly number[] = FAULT_ROWS.map(({ number }) => number);

/**
 * Each row of the matrix with our rules, which must keep every promise, and with each of its wrong rules, which must be
 * found in the way that is expected. True when all of it came out so.
 */
export async function runConsumeFaults(options: ConsumeFaultsOptions): Promise<boolean> {
  const wanted = FAULT_ROWS.filter(({ number }) => options.rows.includes(number));
  say(
    `\n${options.client}, up to ${batchSizeOf(options.seed)} events a transaction\n\n| row | seed | result | wrong rule -> how it failed | s |\n|---|---|---|---|---|`,
  );
  const servers = await startServers({
    kafkaHeapMb: 512,
    kafkaSettings: KAFKA_SETTINGS,
    postgresSettings: POSTGRES_SETTINGS,
  });
  let isAsExpected = true;
  try {
    for (const row of wanted) {
      const isRowAsExpected = await runRow(servers, row, options);
      isAsExpected &&= isRowAsExpected;
    }
  } finally {
    await servers.stop(isAsExpected ? 'remove' : 'keep');
  }
  if (!isAsExpected) {
    say(`logs: ${servers.folder}`);
  }
  return isAsExpected;
}

async function runRow(servers: Servers, row: FaultRow, options: ConsumeFaultsOptions): Promise<boolean> {
  const startedMs = performance.now();
  const ours = oursOutcome(await attempt(servers, row, 'ours', options));
  const wrong: Outcome[] = [];
  for (const rule of row.wrongRules) {
    wrong.push(wrongOutcome(rule, await attempt(servers, row, rule.name, options)));
  }
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  const { number, title } = row;
  say(
    `| ${number} ${title} | ${options.seed} | ${ours.text} | ${wrong.map(({ text }) => text).join('; ')} | ${seconds} |`,
  );
  return [ours, ...wrong].every(({ isAsExpected }) => isAsExpected);
}

/** The problems of one run of a row. An error of the run itself is one, too. */
async function attempt(
  servers: Servers,
  row: FaultRow,
  rule: string,
  { client, seed }: ConsumeFaultsOptions,
): Promise<readonly AppliedProblem[]> {
  const world = await RowWorld.create({ servers, client, row: row.number, rule, seed });
  try {
    return await row.run(world);
  } catch (error) {
    return [{ kind: 'other', text: error instanceof Error ? error.message : String(error) }];
  } finally {
    await world.close();
  }
}

function oursOutcome(problems: readonly AppliedProblem[]): Outcome {
  return problems.length === 0
    ? { isAsExpected: true, text: 'passed' }
    : { isAsExpected: false, text: `FAILED: ${examplesOf(problems)}` };
}

function wrongOutcome({ name, text, expected }: WrongRule, problems: readonly AppliedProblem[]): Outcome {
  const found = problems.filter(({ kind }) => expected.includes(kind));
  const [first] = found;
  return first === undefined
    ? { isAsExpected: false, text: `${name} (${text}) -> NOT FOUND, but ${examplesOf(problems)}` }
    : { isAsExpected: true, text: `${name} (${text}) -> ${found.length} times ${first.kind}, so ${first.text}` };
}

function examplesOf(problems: readonly AppliedProblem[]): string {
  const examples = problems.slice(0, EXAMPLES).map(({ kind, text }) => `${kind}: ${text}`);
  return problems.length === 0 ? 'nothing' : `${problems.length} problems, ${examples.join('; ')}`;
}
