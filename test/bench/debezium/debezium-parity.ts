import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ConsumedRecord,
  consoleConsume,
  createTopic,
  freePort,
  LocalKafka,
  topicOffsets,
  until,
} from '@millrace/testing';
import { RelayProcess, type RelayRoute, type ReplacedRoute } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { createMigratedDatabase, type Servers, startServers, withClient } from '../../harness/servers.js';
import { ADOPTED_OUTBOX } from './adopted-outbox.js';
import { requireDebezium } from './debezium-libraries.js';
import { DebeziumServer } from './debezium-server.js';
import { OTHER_COLUMNS } from './other-columns.js';
import { OWN_OUTBOX } from './own-outbox.js';
import { isEqual, parityTables } from './parity-report.js';
import { type ParityResult, resultOf } from './parity-result.js';
import { type ParityLoad, type ParityScenario, type WrittenRows } from './parity-scenario.js';

const SCENARIOS = [OWN_OUTBOX, ADOPTED_OUTBOX, OTHER_COLUMNS];
const PARTITIONS = 6;
const COUNT_SQL = 'select count(*)::int as events from millrace.outbox';

/**
 * Debezium Server with its outbox event router and our relay read the same rows, while they are written; each publishes to
 * a Kafka of its own, under the same names of topics. Both are read by Kafka's own consumer and compared; then each fault
 * of a list is planted into what we have published, and has to be found. True when nothing differs but what is documented,
 * in each of the scenarios.
 */
export async function benchDebeziumParity(load: ParityLoad): Promise<boolean> {
  await requireDebezium();
  const servers = await startServers({ kafkaHeapMb: 512, postgresSettings: { shared_buffers: '256MB' } });
  const theirKafka = new LocalKafka({
    dataDir: join(servers.folder, 'their-kafka'),
    heapMb: 512,
    temporaryDir: servers.folder,
  });
  let areEqual = false;
  try {
    await theirKafka.start();
    const results: ParityResult[] = [];
    for (const scenario of SCENARIOS) {
      results.push(await runScenario({ servers, theirKafka, scenario, load }));
    }
    say(`\n${parityTables(results)}`);
    areEqual = results.every(isEqual);
    say(areEqual ? '\nThe same, but for what is documented.' : '\nNOT the same.');
  } finally {
    await theirKafka.stop();
    await servers.stop(areEqual ? 'remove' : 'keep');
    if (!areEqual) {
      say(`logs: ${servers.folder}`);
    }
  }
  return areEqual;
}

interface ScenarioRun {
  readonly servers: Servers;
  readonly theirKafka: LocalKafka;
  readonly scenario: ParityScenario;
  readonly load: ParityLoad;
}

async function runScenario({ servers, theirKafka, scenario, load }: ScenarioRun): Promise<ParityResult> {
  const { name, topics } = scenario;
  const databaseUrl = await createMigratedDatabase(servers.postgres, name);
  await scenario.prepare(databaseUrl);
  const brokers = { ours: servers.kafka.brokers, theirs: theirKafka.brokers };
  for (const topic of topics) {
    await createTopic({ brokers: brokers.ours, topic, partitions: PARTITIONS });
    await createTopic({ brokers: brokers.theirs, topic, partitions: PARTITIONS });
  }
  const folder = join(servers.folder, name);
  mkdirSync(folder);
  const debezium = await DebeziumServer.start({
    folder,
    databaseUrl,
    brokers: brokers.theirs,
    slot: `debezium_${name}`,
    settings: scenario.debezium,
  });
  const relay = new RelayProcess({
    file: join(folder, 'relay'),
    databaseUrl,
    brokers: brokers.ours,
    client: scenario.client,
    capture: scenario.capture,
    port: await freePort(),
    routes: [routeOf(scenario)],
  });
  let written: WrittenRows;
  let events: number;
  try {
    written = await scenario.write(databaseUrl, load);
    events = await countEvents(databaseUrl);
    say(`${name}: ${events} events committed, seed ${load.seed}`);
    await untilPublished(brokers.ours, topics, events);
    await untilPublished(brokers.theirs, topics, events + written.refused.size);
  } finally {
    await relay.end('SIGTERM');
    await debezium.stop();
  }
  const [ours, theirs] = [await readAll(brokers.ours, topics), await readAll(brokers.theirs, topics)];
  return withClient(databaseUrl, (client) => resultOf({ scenario, written, events, ours, theirs, client }));
}

function routeOf({ topic }: ParityScenario): RelayRoute | ReplacedRoute {
  return typeof topic === 'string' ? { name: 'parity', topic } : { name: 'parity', topic };
}

async function countEvents(databaseUrl: string): Promise<number> {
  const { rows } = await withClient(databaseUrl, (client) => client.query<{ events: number }>(COUNT_SQL));
  return rows[0]?.events ?? 0;
}

/** Also ends when nothing comes any more: what is missing is told by the comparison. */
async function untilPublished(brokers: readonly string[], topics: readonly string[], events: number): Promise<void> {
  const published = async (): Promise<number> => {
    const offsets = await Promise.all(topics.map(async (topic) => topicOffsets(brokers, topic)));
    return offsets.flat().reduce((sum, { end }) => sum + Number(end), 0);
  };
  let seen = 0;
  while (seen < events) {
    const before = seen;
    try {
      seen = await until(published, (records) => records > before, 'another record in the topics');
    } catch {
      say(`${seen} of ${events} records are in the topics of ${brokers.join()}, and no more come`);
      return;
    }
  }
}

async function readAll(brokers: readonly string[], topics: readonly string[]): Promise<ConsumedRecord[]> {
  const records: ConsumedRecord[] = [];
  for (const topic of topics) {
    records.push(...(await consoleConsume({ brokers, topic })));
  }
  return records;
}
