import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { consoleConsume, createTopic, freePort } from '@millrace/testing';
import { familyCpuMs, processCpuMs } from '../harness/process-usage.js';
import { type KafkaClient, RelayProcess, type RelayRoute } from '../harness/relay-process.js';
import { say } from '../harness/say.js';
import { createMigratedDatabase, type Servers } from '../harness/servers.js';
import { startBenchServers } from './bench-servers.js';
import { commitAtRate } from './committed-load.js';
import { machineText } from './machine.js';
import { percentile } from './statistics.js';
import { markdownTable, text } from './table.js';

/** What `bench latency` is asked to do. */
export interface LatencyOptions {
  readonly clients: readonly KafkaClient[];
  readonly rates: readonly number[];
  readonly seconds: number;
}

const CONNECTIONS = 16;
const PARTITIONS = 6;
const WARM_UP_SECONDS = 5;
const READY_DEADLINE_MS = 60_000;
const POLL_MS = 20;
const TOPIC_SETTINGS = { 'message.timestamp.type': 'LogAppendTime' };
const LATENCY_COLUMNS = ['commit to append', 'events/s', 'p50 ms', 'p99 ms', 'max ms', 'relay CPU % of a core'];
const IDLE_COLUMNS = ['idle relay', 'routes', 'relay CPU % of a core', 'PostgreSQL CPU % of a core'];

/**
 * Commit to append: from the moment the producer's client knows of the commit to the broker's append time, both in
 * whole milliseconds of one machine's clock. Then the processor time of a relay with nothing to do.
 */
export async function benchLatency(options: LatencyOptions): Promise<void> {
  const servers = await startBenchServers();
  try {
    say(`${CONNECTIONS} connections, one-row transactions, ${options.seconds} s each; ${machineText()}\n`);
    const latencies: string[][] = [];
    const idle: string[][] = [];
    for (const client of options.clients) {
      for (const eventsPerSecond of options.rates) {
        latencies.push(await measureLatency(servers, { client, eventsPerSecond, seconds: options.seconds }));
      }
      for (const routes of [1, 3]) {
        idle.push(await measureIdle(servers, { client, routes, seconds: options.seconds }));
      }
    }
    say(`${markdownTable(LATENCY_COLUMNS, latencies)}\n\n${markdownTable(IDLE_COLUMNS, idle)}`);
  } finally {
    await servers.stop('remove');
  }
}

interface LatencyRun {
  readonly client: KafkaClient;
  readonly eventsPerSecond: number;
  readonly seconds: number;
}

async function measureLatency(servers: Servers, run: LatencyRun): Promise<string[]> {
  const { client, eventsPerSecond, seconds } = run;
  const name = `latency_${client}_${eventsPerSecond}`;
  const { relay, databaseUrl } = await startRelay(servers, { name, client, routes: 1 });
  try {
    const load = { databaseUrl, connections: CONNECTIONS, eventsPerSecond };
    const warmUp = await commitAtRate({ ...load, seconds: WARM_UP_SECONDS });
    const cpuBeforeMs = processCpuMs(relay.pid);
    const committedAtMs = await commitAtRate({ ...load, seconds });
    const cpuMs = processCpuMs(relay.pid) - cpuBeforeMs;
    const count = warmUp.length + committedAtMs.length;
    const records = await consoleConsume({ brokers: servers.kafka.brokers, topic: `${name}-1.order`, count });
    if (records.length !== count) {
      throw new Error(`The topic holds ${records.length} records instead of ${count}: see ${relay.options.file}.log.`);
    }
    const waitsMs = records
      .filter((record) => Number(record.headers['millrace-position']) > warmUp.length)
      .map((record) => record.timestampMs - (committedAtMs[Number(record.headers['aggregateversion'])] ?? Number.NaN));
    return [
      `relay, ${client}`,
      text(eventsPerSecond),
      ...[0.5, 0.99, 1].map((share) => text(percentile(waitsMs, share))),
      text((cpuMs / (seconds * 1_000)) * 100, 1),
    ];
  } finally {
    await relay.end('SIGTERM');
  }
}

interface IdleRun {
  readonly client: KafkaClient;
  readonly routes: number;
  readonly seconds: number;
}

async function measureIdle(servers: Servers, { client, routes, seconds }: IdleRun): Promise<string[]> {
  const { relay } = await startRelay(servers, { name: `idle_${client}_${routes}`, client, routes });
  try {
    await sleep(WARM_UP_SECONDS * 1_000);
    const before = [processCpuMs(relay.pid), familyCpuMs(servers.postgres.pid)];
    await sleep(seconds * 1_000);
    const after = [processCpuMs(relay.pid), familyCpuMs(servers.postgres.pid)];
    const shares = after.map((ms, index) => ((ms - (before[index] ?? 0)) / (seconds * 1_000)) * 100);
    return [`relay, ${client}`, String(routes), ...shares.map((share) => text(share, 2))];
  } finally {
    await relay.end('SIGTERM');
  }
}

async function startRelay(
  { folder, postgres, kafka }: Servers,
  given: { readonly name: string; readonly client: KafkaClient; readonly routes: number },
): Promise<{ readonly relay: RelayProcess; readonly databaseUrl: string }> {
  const databaseUrl = await createMigratedDatabase(postgres, given.name);
  const routes: RelayRoute[] = [];
  for (let number = 1; number <= given.routes; number += 1) {
    const topic = `${given.name}-${number}`;
    await createTopic({
      brokers: kafka.brokers,
      topic: `${topic}.order`,
      partitions: PARTITIONS,
      configs: TOPIC_SETTINGS,
    });
    routes.push({ name: `route-${number}`, topic: `${topic}.{aggregatetype}` });
  }
  const relay = new RelayProcess({
    file: join(folder, given.name),
    databaseUrl,
    brokers: kafka.brokers,
    client: given.client,
    port: await freePort(),
    routes,
  });
  const deadline = performance.now() + READY_DEADLINE_MS;
  while (!(await relay.isReady())) {
    if (!relay.isRunning || performance.now() > deadline) {
      await relay.end('SIGKILL');
      throw new Error(`The relay did not get ready: see ${relay.options.file}.log.`);
    }
    await sleep(POLL_MS);
  }
  return { relay, databaseUrl };
}
