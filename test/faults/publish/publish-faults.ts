import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CaptureMode } from '@millrace/capture';
import { LocalKafkaCluster } from '@millrace/testing';
import { copyWithEdits } from '../../harness/libs-copy.js';
import { type KafkaClient } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { RowWorld, type RowVerdict } from '../capture/row-world.js';
import { LaneClock } from './lane-clock.js';
import { isPassed, PUBLISH_TABLE_HEAD, publishLine } from './publish-report.js';
import { type PublishRow } from './publish-row.js';
import { PUBLISH_ROWS } from './publish-rows.js';

/** What one run is asked to do. */
export interface PublishFaultsOptions {
  readonly client: KafkaClient;
  readonly mode: CaptureMode;
  readonly seed: number;
  readonly rows: readonly string[];
  readonly seconds: number;
  readonly eventsPerSecond: number;
}

/** The rows that there are. */
export const PUBLISH_ROW_IDS: readonly string[] = PUBLISH_ROWS.map(({ id }) => id);

/** Each row on a Kafka and a PostgreSQL of its own. True when every promise was kept and every control was found. */
export async function runPublishFaults(options: PublishFaultsOptions): Promise<boolean> {
  const { client, seed, rows, seconds, eventsPerSecond, mode } = options;
  say(
    `\n${client}, capture ${mode}, seed ${seed}, ${seconds} s of ${eventsPerSecond} events/s\n\n${PUBLISH_TABLE_HEAD}`,
  );
  const folder = mkdtempSync(join(tmpdir(), 'millrace-publish-'));
  chmodSync(folder, 0o755); // PostgreSQL may run under another account
  const programs = copyWithEdits(join(folder, 'programs'), []); // which builds beside the run do not disturb
  let isAllPassed = true;
  for (const row of PUBLISH_ROWS.filter(({ id }) => rows.includes(id))) {
    const startedMs = performance.now();
    const lanes = new LaneClock();
    const verdict = await attempt({ ...options, row, folder, programs, lanes });
    const outcome = { row, verdict, longestGap: lanes.longest, seconds: (performance.now() - startedMs) / 1_000 };
    say(publishLine(outcome));
    isAllPassed &&= isPassed(outcome);
  }
  if (isAllPassed) {
    rmSync(folder, { recursive: true, force: true });
  } else {
    say(`logs: ${folder}`);
  }
  return isAllPassed;
}

interface Attempt extends PublishFaultsOptions {
  readonly row: PublishRow;
  readonly folder: string;
  readonly programs: string;
  readonly lanes: LaneClock;
}

/** The verdict of one run of a row. An error of the run itself is a finding, too. */
async function attempt(setup: Attempt): Promise<RowVerdict> {
  const { row, mode, client } = setup;
  const folder = join(setup.folder, `row-${row.id}-${mode}-${client}`);
  mkdirSync(folder, { mode: 0o755 });
  const cluster = await LocalKafkaCluster.start({ folder, nodes: row.nodes ?? 3, heapMb: 512, isQuickStart: true });
  try {
    return await runOn(cluster, setup);
  } finally {
    await cluster.stop();
    for (const { nodeId } of cluster.nodes) {
      rmSync(join(folder, `kafka-${nodeId}`), { recursive: true, force: true });
    }
  }
}

async function runOn(cluster: LocalKafkaCluster, setup: Attempt): Promise<RowVerdict> {
  const { row, programs } = setup;
  const world = await RowWorld.create({
    ...setup,
    row: { ...row, modes: [setup.mode], run: async () => Promise.resolve() },
    brokers: cluster.brokers,
    relayMain: join(programs, '..', 'apps', 'relay', 'main.js'),
    topics: {
      brokers: () => cluster.directBrokers,
      partitions: row.partitions ?? 12,
      replicas: cluster.nodes.length,
      configs: row.topicConfigs,
    },
  });
  try {
    const [topic = ''] = world.routes.map((route) => route.topic);
    await row.run({ ...setup, world, cluster, topic });
    return row.isControl === true ? world.brokenOff() : await world.verdict();
  } catch (error) {
    world.found('other', error instanceof Error ? error.message : String(error));
    return world.brokenOff();
  } finally {
    setup.lanes.end();
    await world.close();
  }
}
