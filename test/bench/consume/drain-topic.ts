import { peakMemoryMiB } from '../../harness/process-usage.js';
import { say } from '../../harness/say.js';
import { median } from '../statistics.js';
import { markdownTable, text } from '../table.js';
import { runBareInserts } from './bare-inserts.js';
import { fillTopic } from './bench-events.js';
import { type ConsumeBenchOptions } from './consume-bench.js';
import { ConsumerRun, cpuBetween, type ConsumerRunOptions } from './consumer-run.js';

interface DrainResult {
  readonly eventsPerSecond: number;
  /** Microseconds per event. */
  readonly consumerCpu: number;
  readonly postgresCpu: number;
  /** Undefined where there was no broker. */
  readonly kafkaCpu?: number;
  readonly peakMiB?: number;
}

const COLUMNS = ['a full topic', 'events/s', 'consumer us/event', 'PostgreSQL us/event', 'Kafka us/event', 'peak MiB'];
const RATE_SQL = 'select extract(epoch from max(placed_at) - min(placed_at))::float8 as seconds from placed';

/** A topic that is full before the consumer starts, with one event a transaction and with batches; beside it the statements alone. */
export async function benchDrainTopic(options: ConsumeBenchOptions): Promise<string> {
  const results = new Map<string, DrainResult[]>();
  const note = (run: number, name: string, result: DrainResult): void => {
    results.set(name, [...(results.get(name) ?? []), result]);
    say(`run ${run} ${name}: ${cellsOf([result]).join(', ')}`);
  };
  for (let run = 1; run <= options.runs; run += 1) {
    for (const batchSize of options.batchSizes) {
      note(run, `pg alone, ${batchText(batchSize)}`, await bareOnce(options, batchSize, run));
      for (const client of options.clients) {
        const { servers, profileDir, events } = options;
        const result = await drainOnce(
          {
            servers,
            client,
            profileDir,
            name: `drain_${client}_${batchSize}_${run}`,
            environment: { CONSUMER_BATCH_SIZE: String(batchSize), CONSUMER_CONCURRENCY: String(options.concurrency) },
          },
          events,
        );
        note(run, `${client}, ${batchText(batchSize)}`, result);
      }
    }
  }
  return markdownTable(
    COLUMNS,
    [...results].map(([name, runs]) => [name, ...cellsOf(runs)]),
  );
}

function batchText(batchSize: number): string {
  return `${batchSize === 1 ? 'one event' : `up to ${batchSize} events`} a transaction`;
}

async function bareOnce(options: ConsumeBenchOptions, batchSize: number, run: number): Promise<DrainResult> {
  const { servers, events, concurrency } = options;
  const name = `bare_${batchSize}_${run}`;
  const bare = await runBareInserts({ servers, name, events, batchSize, concurrency });
  return { eventsPerSecond: bare.eventsPerSecond, consumerCpu: bare.clientCpu, postgresCpu: bare.postgresCpu };
}

async function drainOnce(options: ConsumerRunOptions, events: number): Promise<DrainResult> {
  return ConsumerRun.with(options, async (run) => {
    const { client, servers } = options;
    await fillTopic({ client, brokers: servers.kafka.brokers, topic: run.topic }, events);
    const consumer = await run.start();
    const before = run.cpu(consumer);
    await run.applied(events);
    const used = cpuBetween(before, run.cpu(consumer));
    const { rows } = await run.database.query<{ seconds: number }>(RATE_SQL);
    const perEvent = (ms: number): number => (ms * 1_000) / events;
    return {
      eventsPerSecond: events / (rows[0]?.seconds ?? 0),
      consumerCpu: perEvent(used.consumer),
      postgresCpu: perEvent(used.postgres),
      kafkaCpu: perEvent(used.kafka),
      peakMiB: peakMemoryMiB(consumer.pid),
    };
  });
}

/** The medians. */
function cellsOf(runs: readonly DrainResult[]): string[] {
  const of = (value: (run: DrainResult) => number | undefined): string => {
    const values = runs.map(value).filter((each) => each !== undefined);
    return values.length === 0 ? '' : text(median(values));
  };
  return [
    of((run) => run.eventsPerSecond),
    of((run) => run.consumerCpu),
    of((run) => run.postgresCpu),
    of((run) => run.kafkaCpu),
    of((run) => run.peakMiB),
  ];
}
