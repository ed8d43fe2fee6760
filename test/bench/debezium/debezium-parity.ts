import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ConsumedRecord,
  consoleConsume,
  createTopic,
  freePort,
  LocalKafka,
  topicOffsets,
  until,
} from '@millrace/testing';
import { Workload } from '../../faults/workload.js';
import { RelayProcess } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { createMigratedDatabase, type Servers, startServers, withClient } from '../../harness/servers.js';
import { DebeziumServer } from './debezium-server.js';
import { PARITY_TYPES, writeParityEvents } from './parity-events.js';
import { type Comparison, compareRecords } from './same-records.js';

/** What one run is asked to do. */
export interface DebeziumParityOptions {
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly seed: number;
}

const TOPICS = ['order', ...PARITY_TYPES].map((type) => `outbox.event.${type}`);
const PARTITIONS = 6;
const EXAMPLES = 5;
const COUNT_SQL = 'select count(*)::int as events from millrace.outbox';

/**
 * Debezium Server with its outbox event router and our relay read the same outbox, while it is written; each publishes
 * to a Kafka of its own, under the same names of topics. Both are read by Kafka's own consumer and compared. True when
 * topics, partitions, keys, values, ids and the order of each key are equal.
 */
export async function benchDebeziumParity(options: DebeziumParityOptions): Promise<boolean> {
  const servers = await startServers({ kafkaHeapMb: 512, postgresSettings: { shared_buffers: '256MB' } });
  const folder = join(servers.folder, 'debezium');
  mkdirSync(folder);
  const theirKafka = new LocalKafka({ dataDir: join(folder, 'kafka'), heapMb: 512, temporaryDir: servers.folder });
  let isSame = false;
  try {
    await theirKafka.start();
    isSame = report(await runBoth(servers, theirKafka, options));
  } finally {
    await theirKafka.stop();
    await servers.stop(isSame ? 'remove' : 'keep');
    if (!isSame) {
      say(`logs: ${servers.folder}`);
    }
  }
  return isSame;
}

async function runBoth(servers: Servers, theirKafka: LocalKafka, options: DebeziumParityOptions): Promise<Comparison> {
  const databaseUrl = await createMigratedDatabase(servers.postgres, 'parity');
  const brokers = { ours: servers.kafka.brokers, theirs: theirKafka.brokers };
  for (const topic of TOPICS) {
    await createTopic({ brokers: brokers.ours, topic, partitions: PARTITIONS });
    await createTopic({ brokers: brokers.theirs, topic, partitions: PARTITIONS });
  }
  const folder = join(servers.folder, 'debezium');
  const debezium = await DebeziumServer.start({ folder, databaseUrl, brokers: brokers.theirs });
  const relay = new RelayProcess({
    file: join(servers.folder, 'relay'),
    databaseUrl,
    brokers: brokers.ours,
    client: 'platformatic',
    capture: 'wal',
    port: await freePort(),
    routes: [{ name: 'parity', topic: 'outbox.event.{aggregatetype}' }],
  });
  try {
    const events = await write(databaseUrl, options);
    say(`${events} events committed in ${options.seconds} s, seed ${options.seed}`);
    await Promise.all([brokers.ours, brokers.theirs].map(async (each) => untilPublished(each, events)));
    return compareRecords(await readAll(brokers.ours), await readAll(brokers.theirs));
  } finally {
    await relay.end('SIGTERM');
    await debezium.stop();
  }
}

/** Concurrent transactions with rollbacks, and then what is hard to print; returns how many events were committed. */
async function write(databaseUrl: string, { seconds, ...load }: DebeziumParityOptions): Promise<number> {
  const workload = await Workload.start({ databaseUrl, ...load });
  await sleep(seconds * 1_000);
  await workload.stop();
  return withClient(databaseUrl, async (client) => {
    await writeParityEvents(client);
    const { rows } = await client.query<{ events: number }>(COUNT_SQL);
    return rows[0]?.events ?? 0;
  });
}

async function untilPublished(brokers: readonly string[], events: number): Promise<void> {
  await until(
    async () => {
      const offsets = await Promise.all(TOPICS.map(async (topic) => topicOffsets(brokers, topic)));
      return offsets.flat().reduce((sum, { end }) => sum + Number(end), 0);
    },
    (records) => records >= events,
    `${events} records in the topics`,
  );
}

async function readAll(brokers: readonly string[]): Promise<ConsumedRecord[]> {
  const records: ConsumedRecord[] = [];
  for (const topic of TOPICS) {
    records.push(...(await consoleConsume({ brokers, topic })));
  }
  return records;
}

function report(comparison: Comparison): boolean {
  const { records, keys, missing, different, reordered, onlyOurs, onlyTheirs } = comparison;
  say(`${records} records of ${keys} keys in ${TOPICS.length} topics are in both`);
  const problems = { 'missing or more than once': missing, different, 'in another order': reordered };
  for (const [what, names] of Object.entries(problems)) {
    say(`${what}: ${names.length}${names.length === 0 ? '' : `, as ${names.slice(0, EXAMPLES).join(', ')}`}`);
  }
  say(`headers that only we have: ${onlyOurs.join(', ')}`);
  say(`headers that only Debezium has: ${onlyTheirs.join(', ')}`);
  const isSame = records > 0 && missing.length + different.length + reordered.length === 0;
  say(isSame ? '\nThe same.' : '\nNOT the same.');
  return isSame;
}
