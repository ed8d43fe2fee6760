import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  LocalKafkaCluster,
  SINK_PROPERTIES,
  type SinkSubject,
  type SinkVerdict,
  TemporaryPostgres,
  verdictOf,
} from '@millrace/testing';
import { KAFKA_CLIENTS } from '@millrace/transport';
import { createMigratedDatabase } from '../harness/servers.js';
import { say } from '../harness/say.js';
import { kafkaSubject } from './kafka-subject.js';
import { startPostgresSubject } from './postgres-subject.js';
import { startSqsSubject } from './sqs-subject.js';
import { type SinkResults, sinksDocument, verdictLine } from './verdict-table.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const DOCUMENT = 'docs/SINKS.md';
const RUN_BY = ['libs/events', 'libs/transport', 'libs/testing', 'libs/schema', 'test/conformance'];
const COMMAND = 'npm run test:conformance';
const USAGE = `Usage: ${COMMAND} [-- --sinks kafka-1,kafka-3,sqs,postgres]   of all of them: ${DOCUMENT} is written`;

type Run = (subject: SinkSubject) => Promise<void>;

/** Starts the servers of some sinks, has each of them run, and stops the servers. */
const GROUPS: Readonly<Record<string, (run: Run) => Promise<void>>> = {
  'kafka-1': (run) => withKafka(1, run),
  'kafka-3': (run) => withKafka(3, run),
  sqs: withSqs,
  postgres: withPostgres,
};

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { sinks: { type: 'string', default: Object.keys(GROUPS).join() } } });
  const names = values.sinks.split(',');
  const groups = names.map((name) => GROUPS[name]);
  const ranAt = { date: new Date().toISOString().slice(0, 10), commit: commit() };
  const results: SinkResults[] = [];
  for (const group of groups) {
    if (group === undefined) {
      say(USAGE);
      return 2;
    }
    await group(async (subject) => {
      results.push(await resultsOf(subject));
    });
  }
  if (Object.keys(GROUPS).every((name) => names.includes(name))) {
    const facts = { ...ranAt, command: COMMAND, node: process.version };
    writeFileSync(join(ROOT, DOCUMENT), sinksDocument(results, facts));
    say(`\n${DOCUMENT} is written.`);
  }
  const failed = results.flatMap(({ verdicts }) => [...verdicts.values()]).filter(({ kind }) => kind === 'failed');
  say(failed.length === 0 ? 'Every sink holds what it promises.' : `${failed.length} promises were broken: see above.`);
  return failed.length === 0 ? 0 : 1;
}

async function resultsOf(subject: SinkSubject): Promise<SinkResults> {
  say(`\n${subject.name}`);
  const verdicts = new Map<string, SinkVerdict>();
  for (const property of SINK_PROPERTIES) {
    const verdict = await verdictOf(property, subject);
    verdicts.set(property.name, verdict);
    say(verdictLine(property.name, verdict));
  }
  return { name: subject.name, verdicts, limits: subject.limits };
}

async function withKafka(nodes: number, run: Run): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-conformance-'));
  chmodSync(folder, 0o755);
  const cluster = await LocalKafkaCluster.start({ folder, nodes, isQuickStart: true });
  try {
    for (const client of KAFKA_CLIENTS) {
      await run(kafkaSubject(cluster, client));
    }
  } finally {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withSqs(run: Run): Promise<void> {
  for (const kind of ['FIFO', 'standard'] as const) {
    const subject = await startSqsSubject(kind);
    await run(subject).finally(() => subject.stop());
  }
}

async function withPostgres(run: Run): Promise<void> {
  const postgres = new TemporaryPostgres();
  try {
    await postgres.start();
    const subject = await startPostgresSubject(await createMigratedDatabase(postgres, 'conformance'));
    await run(subject).finally(() => subject.stop());
  } finally {
    await postgres.remove();
  }
}

/** What is not committed of all that a run is made of is said to be so. */
function commit(): string {
  const git = (...args: readonly string[]): string => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  const isClean = git('status', '--porcelain', '--', ...RUN_BY) === '';
  return `\`${git('rev-parse', '--short', 'HEAD')}\`${isClean ? '' : ' with changes that were not committed'}`;
}
