import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTopic, deleteTopic, freePort } from '@millrace/testing';
import type pg from 'pg';
import { peakMemoryMiB } from '../harness/process-usage.js';
import { type KafkaClient, RelayProcess } from '../harness/relay-process.js';
import { say } from '../harness/say.js';
import { type Servers, withClient } from '../harness/servers.js';
import { Backlog } from './backlog.js';
import { startBenchServers } from './bench-servers.js';
import { type Cpu, cpuBetween, cpuMs, cpuPerEvent } from './cpu.js';
import { machineText } from './machine.js';
import { producerPerformanceOn } from './producer-performance.js';
import { median } from './statistics.js';
import { markdownTable, text } from './table.js';
import { topicTimes } from './topic-times.js';

/** What `bench drain` is asked to do. */
export interface DrainOptions {
  readonly events: number;
  readonly clients: readonly KafkaClient[];
  /** With each of these, on the client that can. */
  readonly idempotent: readonly boolean[];
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
    const variants = variantsOf(options);
    const results = new Map<string, DrainResult[]>(variants.map(({ name }) => [name, []]));
    const yardstick: number[] = [];
    for (let run = 1; run <= options.runs; run += 1) {
      yardstick.push(await producerPerformanceOn(servers, backlog.events, backlog.payloadBytes));
      for (const variant of variants) {
        const result = await runDrain(servers, backlog, { variant, run, profileDir: options.profileDir });
        results.get(variant.name)?.push(result);
        say(
          `run ${run} ${variant.name}: ${lineOf(result)} (ProducerPerformance ${Math.round(yardstick.at(-1) ?? 0)}/s)`,
        );
      }
    }
    say(`\n${tableOf(results, yardstick)}`);
  } finally {
    await servers.stop('remove');
  }
}

/** A client and how it sends. */
interface DrainVariant {
  readonly name: string;
  readonly client: KafkaClient;
  readonly idempotent: boolean;
}

function variantsOf({ clients, idempotent }: DrainOptions): readonly DrainVariant[] {
  return clients.flatMap((client): readonly DrainVariant[] =>
    client === 'kafkajs'
      ? [{ name: client, client, idempotent: false }]
      : idempotent.map((on) => ({ name: on ? `${client}, idempotent` : client, client, idempotent: on })),
  );
}

interface DrainRun {
  readonly variant: DrainVariant;
  readonly run: number;
  readonly profileDir: string | undefined;
}

async function runDrain(
  servers: Servers,
  backlog: Backlog,
  { variant, run, profileDir }: DrainRun,
): Promise<DrainResult> {
  const { folder, kafka } = servers;
  const { client, idempotent } = variant;
  const name = `drain-${client}-${idempotent ? 'once-' : ''}${run}`;
  const databaseUrl = await backlog.copy();
  const topic = `${name}.order`;
  await createTopic({ brokers: kafka.brokers, topic, partitions: PARTITIONS, configs: TOPIC_SETTINGS });
  const relay = new RelayProcess({
    file: join(folder, name),
    databaseUrl,
    brokers: kafka.brokers,
    client,
    sink: { idempotent },
    port: await freePort(),
    routes: [{ name: 'drain', topic: `${name}.{aggregatetype}` }],
    nodeArguments: profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`],
  });
  try {
    const usage = (): Cpu => cpuMs(relay.pid, servers);
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
      cpu: cpuPerEvent(usedMs, records),
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
        return cpuBetween(before, usage());
      }
    }
    await sleep(POLL_MS);
  }
  throw new Error(
    `The relay ${relay.isRunning ? 'did not drain the backlog in time' : 'ended'}: see ${relay.options.file}.log.`,
  );
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
