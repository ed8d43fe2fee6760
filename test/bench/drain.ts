import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTopic, deleteTopic, freePort } from '@millrace/testing';
import type pg from 'pg';
import { familyCpuMs, peakMemoryMiB, processCpuMs } from '../harness/process-usage.js';
import { type KafkaClient, RelayProcess } from '../harness/relay-process.js';
import { say } from '../harness/say.js';
import { type Servers, withClient } from '../harness/servers.js';
import { Backlog } from './backlog.js';
import { startBenchServers } from './bench-servers.js';
import { machineText } from './machine.js';
import { producerPerformance } from './producer-performance.js';
import { median } from './statistics.js';
import { markdownTable, text } from './table.js';
import { topicTimes } from './topic-times.js';

/** What `bench drain` is asked to do. */
export interface DrainOptions {
  readonly events: number;
  readonly clients: readonly KafkaClient[];
  readonly runs: number;
  /** A folder for V8 profiles of the relay, one a run. */
  readonly profileDir: string | undefined;
}

interface DrainResult {
  readonly eventsPerSecond: number;
  /** Microseconds of processor time per event. */
  readonly cpu: Cpu;
  readonly peakMiB: number;
}

/** Processor time by who used it. */
interface Cpu {
  readonly relay: number;
  readonly postgres: number;
  readonly kafka: number;
}

const PARTITIONS = 6;
const POLL_MS = 20;
const DEADLINE_MS = 300_000;
const COLUMNS = [
  'median',
  'events/s',
  '% of ProducerPerformance',
  'relay CPU us/event',
  'PostgreSQL CPU us/event',
  'Kafka CPU us/event',
  'relay peak MiB',
];
const TOPIC_SETTINGS = { 'message.timestamp.type': 'LogAppendTime' };

/**
 * Drains the same committed backlog with each client in turn, several times, and runs Kafka's own ProducerPerformance
 * beside it. Events per second are those between the broker's first and last append.
 */
export async function benchDrain(options: DrainOptions): Promise<void> {
  const servers = await startBenchServers();
  try {
    const backlog = await Backlog.fill(servers.postgres, options.events);
    const events = options.events.toLocaleString('en');
    say(`${events} events of ${backlog.payloadBytes} bytes, ${PARTITIONS} partitions, acks=all; ${machineText()}\n`);
    const results = new Map<string, DrainResult[]>(options.clients.map((client) => [client, []]));
    const yardstick: number[] = [];
    for (let run = 1; run <= options.runs; run += 1) {
      yardstick.push(await runYardstick(servers, backlog, run));
      for (const client of options.clients) {
        const result = await runDrain(servers, backlog, { client, run, profileDir: options.profileDir });
        results.get(client)?.push(result);
        say(`run ${run} ${client}: ${lineOf(result)} (ProducerPerformance ${Math.round(yardstick.at(-1) ?? 0)}/s)`);
      }
    }
    say(`\n${tableOf(results, yardstick)}`);
  } finally {
    await servers.stop('remove');
  }
}

async function runYardstick({ kafka }: Servers, backlog: Backlog, run: number): Promise<number> {
  const topic = `yardstick-${run}`;
  await createTopic({ brokers: kafka.brokers, topic, partitions: PARTITIONS });
  const { events: records, payloadBytes: recordBytes } = backlog;
  const rate = await producerPerformance({ brokers: kafka.brokers, topic, records, recordBytes });
  await deleteTopic(kafka.brokers, topic);
  return rate;
}

interface DrainRun {
  readonly client: KafkaClient;
  readonly run: number;
  readonly profileDir: string | undefined;
}

async function runDrain(
  servers: Servers,
  backlog: Backlog,
  { client, run, profileDir }: DrainRun,
): Promise<DrainResult> {
  const { folder, kafka } = servers;
  const name = `drain-${client}-${run}`;
  const databaseUrl = await backlog.copy();
  const topic = `${name}.order`;
  await createTopic({ brokers: kafka.brokers, topic, partitions: PARTITIONS, configs: TOPIC_SETTINGS });
  const relay = new RelayProcess({
    file: join(folder, name),
    databaseUrl,
    brokers: kafka.brokers,
    client,
    port: await freePort(),
    routes: [{ name: 'drain', topic: `${name}.{aggregatetype}` }],
    nodeArguments: profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`],
  });
  try {
    const usage = (): Cpu => ({
      relay: processCpuMs(relay.pid),
      postgres: familyCpuMs(servers.postgres.pid),
      kafka: processCpuMs(kafka.pid),
    });
    const usedMs = await withClient(databaseUrl, (database) =>
      usedUntilDrained({ relay, database, last: backlog.events, usage }),
    );
    const peakMiB = peakMemoryMiB(relay.pid);
    const { records, firstMs, lastMs } = await topicTimes(kafka.brokers, topic, PARTITIONS);
    if (records !== backlog.events) {
      throw new Error(`The topic holds ${records} records instead of ${backlog.events}.`);
    }
    return {
      eventsPerSecond: records / ((lastMs - firstMs) / 1_000),
      cpu: perEvent(usedMs, records),
      peakMiB,
    };
  } finally {
    await relay.end('SIGTERM');
    await deleteTopic(kafka.brokers, topic);
    await backlog.drop(databaseUrl);
  }
}

interface DrainWatch {
  readonly relay: RelayProcess;
  readonly database: pg.Client;
  /** The last position of the backlog. */
  readonly last: number;
  readonly usage: () => Cpu;
}

/** Processor time, in ms, from the claim of the route (so without the relay's start) to the last ledger write. */
async function usedUntilDrained({ relay, database, last, usage }: DrainWatch): Promise<Cpu> {
  const deadline = performance.now() + DEADLINE_MS;
  let before: Cpu | undefined;
  while (relay.isRunning && performance.now() < deadline) {
    const { rows } = await database.query<{ low: string }>('select low from millrace.ledger');
    const low = rows[0]?.low;
    if (low !== undefined) {
      before ??= usage();
      if (Number(low) >= last) {
        return difference(usage(), before);
      }
    }
    await sleep(POLL_MS);
  }
  throw new Error(
    `The relay ${relay.isRunning ? 'did not drain the backlog in time' : 'ended'}: see ${relay.options.file}.log.`,
  );
}

function difference(after: Cpu, before: Cpu): Cpu {
  return {
    relay: after.relay - before.relay,
    postgres: after.postgres - before.postgres,
    kafka: after.kafka - before.kafka,
  };
}

function perEvent(ms: Cpu, events: number): Cpu {
  const micros = (used: number): number => (used * 1_000) / events;
  return { relay: micros(ms.relay), postgres: micros(ms.postgres), kafka: micros(ms.kafka) };
}

function lineOf({ eventsPerSecond, cpu, peakMiB }: DrainResult): string {
  const { relay, postgres, kafka } = cpu;
  const shares = `relay ${relay.toFixed(1)}, PostgreSQL ${postgres.toFixed(1)}, Kafka ${kafka.toFixed(1)}`;
  return `${Math.round(eventsPerSecond)} events/s; CPU us/event: ${shares}; relay's peak ${Math.round(peakMiB)} MiB`;
}

function tableOf(results: ReadonlyMap<string, readonly DrainResult[]>, yardstick: readonly number[]): string {
  const reference = median(yardstick);
  const rows = [...results].map(([client, runs]) => {
    const of = (value: (run: DrainResult) => number): number => median(runs.map(value));
    return [
      `relay, ${client}`,
      text(of((run) => run.eventsPerSecond)),
      text((of((run) => run.eventsPerSecond) / reference) * 100),
      text(
        of((run) => run.cpu.relay),
        1,
      ),
      text(
        of((run) => run.cpu.postgres),
        1,
      ),
      text(
        of((run) => run.cpu.kafka),
        1,
      ),
      text(of((run) => run.peakMiB)),
    ];
  });
  return markdownTable(COLUMNS, [...rows, ["Kafka's ProducerPerformance", text(reference), '100', '', '', '', '']]);
}
