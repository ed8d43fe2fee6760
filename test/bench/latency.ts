import { type CaptureMode } from '@millrace/capture';
import { type KafkaClient } from '../harness/relay-process.js';
import { say } from '../harness/say.js';
import { type Servers } from '../harness/servers.js';
import { appendTimes } from './append-times.js';
import { startBenchServers } from './bench-servers.js';
import { BenchRelay } from './capture/bench-relay.js';
import { commitAtRate } from './committed-load.js';
import { cpuBetween, shareOfCore } from './cpu.js';
import { machineText } from './machine.js';
import { median, percentile } from './statistics.js';
import { markdownTable, text } from './table.js';

/** What `bench latency` is asked to do. */
export interface LatencyOptions {
  readonly client: KafkaClient;
  readonly captures: readonly CaptureMode[];
  readonly rates: readonly number[];
  readonly seconds: number;
  readonly runs: number;
  readonly nodeArguments: readonly string[];
}

interface LatencyRun {
  readonly capture: CaptureMode;
  readonly eventsPerSecond: number;
  readonly run: number;
}

interface LatencyResult {
  /** Below what was asked for when the machine does not commit so many. */
  readonly eventsPerSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** Percent of a core. */
  readonly relayCpu: number;
  readonly postgresCpu: number;
}

/** As many as a small service has. */
export const CONNECTIONS = 16;
/** Before anything is measured. */
export const WARM_UP_SECONDS = 5;
const COLUMNS = [
  'commit to append, medians',
  'events/s',
  'p50 ms',
  'p95 ms',
  'p99 ms',
  'max ms',
  'relay, % of a core',
  'PostgreSQL, % of a core',
];

/**
 * Commit to append: from the moment the producer's client knows of the commit to the broker's append time, both in
 * whole milliseconds of one machine's clock. Every capture in turn at every rate, several times.
 */
export async function benchLatency(options: LatencyOptions): Promise<void> {
  const servers = await startBenchServers();
  let isComplete = false;
  try {
    say(`${CONNECTIONS} connections, one-row transactions, ${options.seconds} s each; ${machineText()}\n`);
    const results = new Map<string, LatencyResult[]>();
    for (let run = 1; run <= options.runs; run += 1) {
      for (const eventsPerSecond of options.rates) {
        for (const capture of options.captures) {
          const result = await measureLatency(servers, options, { capture, eventsPerSecond, run });
          const name = `${capture}, ${text(eventsPerSecond)} events/s`;
          results.set(name, [...(results.get(name) ?? []), result]);
          say(`run ${run} ${name}: ${cellsOf([result]).join(', ')}`);
        }
      }
    }
    const rows = [...results].map(([name, runs]) => [name, ...cellsOf(runs)]);
    say(`\n${markdownTable(COLUMNS, rows)}`);
    isComplete = true;
  } finally {
    await servers.stop(isComplete ? 'remove' : 'keep');
  }
}

async function measureLatency(servers: Servers, options: LatencyOptions, run: LatencyRun): Promise<LatencyResult> {
  const { client, nodeArguments, seconds } = options;
  const { capture, eventsPerSecond } = run;
  const name = `latency_${capture}_${eventsPerSecond}_${run.run}`;
  const relay = await BenchRelay.start(servers, { name, client, capture, nodeArguments, sources: 1 });
  try {
    const load = { databaseUrl: relay.databaseUrl, connections: CONNECTIONS, eventsPerSecond };
    const { length: warmUp } = await commitAtRate({ ...load, seconds: WARM_UP_SECONDS });
    const before = relay.usage();
    const startedMs = performance.now();
    const committedAtMs = await commitAtRate({ ...load, seconds, firstNumber: warmUp });
    const tookSeconds = (performance.now() - startedMs) / 1_000;
    const used = cpuBetween(before, relay.usage());
    const records = warmUp + committedAtMs.length;
    await relay.settled(records);
    await relay.requireSameStreams();
    const appendedAtMs = await appendTimes({ brokers: servers.kafka.brokers, topic: relay.topic, records });
    const waitsMs = committedAtMs.map((ms, index) => (appendedAtMs[warmUp + index] ?? Number.NaN) - ms);
    const share = (rank: number): number => percentile(waitsMs, rank);
    return {
      eventsPerSecond: committedAtMs.length / tookSeconds,
      p50: share(0.5),
      p95: share(0.95),
      p99: share(0.99),
      max: share(1),
      relayCpu: shareOfCore(used.relay, tookSeconds),
      postgresCpu: shareOfCore(used.postgres, tookSeconds),
    };
  } finally {
    await relay.end();
  }
}

/** The medians. */
function cellsOf(runs: readonly LatencyResult[]): string[] {
  const of = (value: (run: LatencyResult) => number, digits = 0): string => text(median(runs.map(value)), digits);
  return [
    of((run) => run.eventsPerSecond),
    of((run) => run.p50),
    of((run) => run.p95),
    of((run) => run.p99),
    of((run) => run.max),
    of((run) => run.relayCpu, 1),
    of((run) => run.postgresCpu, 1),
  ];
}
