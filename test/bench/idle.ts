import { setTimeout as sleep } from 'node:timers/promises';
import { type CaptureMode } from '@millrace/capture';
import { type KafkaClient } from '../harness/relay-process.js';
import { say } from '../harness/say.js';
import { type Servers, withClient } from '../harness/servers.js';
import { startBenchServers } from './bench-servers.js';
import { BenchRelay } from './capture/bench-relay.js';
import { cpuBetween, shareOfCore } from './cpu.js';
import { machineText } from './machine.js';
import { median } from './statistics.js';
import { markdownTable, text } from './table.js';

/** What `bench idle` is asked to do. */
export interface IdleOptions {
  readonly client: KafkaClient;
  readonly captures: readonly CaptureMode[];
  readonly sources: number;
  readonly seconds: number;
  readonly runs: number;
  readonly nodeArguments: readonly string[];
}

interface IdleResult {
  /** Percent of a core. */
  readonly relay: number;
  readonly postgres: number;
  readonly kafka: number;
  /** Of all sources together, per second. */
  readonly statements: number;
}

/** What follows a start, such as the first heartbeat of a slot, is over by then. */
const WARM_UP_MS = 15_000;
const COLUMNS = [
  'without events',
  'relay, % of a core',
  'PostgreSQL, % of a core',
  'Kafka, % of a core',
  'statements/s',
];
/** Every statement of the relay is a transaction of its own. */
const TRANSACTIONS_SQL = `select sum(xact_commit + xact_rollback) as count from pg_stat_database where datname = any($1)`;

/** Processor time of a relay that has several sources and nothing to do, one route each. */
export async function benchIdle(options: IdleOptions): Promise<void> {
  const servers = await startBenchServers();
  let isComplete = false;
  try {
    say(`${options.sources} sources with one route each, ${options.seconds} s; ${machineText()}\n`);
    const results = new Map<CaptureMode, IdleResult[]>();
    for (let run = 1; run <= options.runs; run += 1) {
      for (const capture of options.captures) {
        const result = await measureIdle(servers, options, { capture, run });
        results.set(capture, [...(results.get(capture) ?? []), result]);
        say(`run ${run} ${capture}: ${cellsOf([result]).join(', ')}`);
      }
    }
    const rows = [...results].map(([capture, runs]) => [capture, ...cellsOf(runs)]);
    say(`\n${markdownTable(COLUMNS, rows)}`);
    isComplete = true;
  } finally {
    await servers.stop(isComplete ? 'remove' : 'keep');
  }
}

async function measureIdle(
  servers: Servers,
  { client, sources, seconds, nodeArguments }: IdleOptions,
  { capture, run }: { readonly capture: CaptureMode; readonly run: number },
): Promise<IdleResult> {
  const relay = await BenchRelay.start(servers, {
    name: `idle_${capture}_${run}`,
    client,
    capture,
    nodeArguments,
    sources,
  });
  try {
    await sleep(WARM_UP_MS);
    const before = { cpu: relay.usage(), statements: await statementsOf(servers, relay) };
    await sleep(seconds * 1_000);
    const after = { cpu: relay.usage(), statements: await statementsOf(servers, relay) };
    await relay.requireSameStreams();
    const used = cpuBetween(before.cpu, after.cpu);
    return {
      relay: shareOfCore(used.relay, seconds),
      postgres: shareOfCore(used.postgres, seconds),
      kafka: shareOfCore(used.sink, seconds),
      statements: (after.statements - before.statements) / seconds,
    };
  } finally {
    await relay.end();
  }
}

async function statementsOf({ postgres }: Servers, relay: BenchRelay): Promise<number> {
  return withClient(postgres.adminUrl, async (client) => {
    const { rows } = await client.query<{ count: string }>(TRANSACTIONS_SQL, [relay.databases]);
    return Number(rows[0]?.count);
  });
}

/** The medians. */
function cellsOf(runs: readonly IdleResult[]): string[] {
  const of = (value: (run: IdleResult) => number, digits: number): string => text(median(runs.map(value)), digits);
  return [
    of((run) => run.relay, 2),
    of((run) => run.postgres, 2),
    of((run) => run.kafka, 2),
    of((run) => run.statements, 1),
  ];
}
