import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConsumedRecord, consoleConsume, createTopic } from '@millrace/testing';
import { type KafkaClient } from '../harness/relay-process.js';
import { say } from '../harness/say.js';
import { createMigratedDatabase, type Servers, startServers, withClient } from '../harness/servers.js';
import { checkDeliveries, type CommittedEvent } from './delivery-check.js';
import { RelayPair } from './relay-pair.js';
import { printReport, type RunReport } from './run-report.js';
import { type Fault, faultName, faultSchedule, faultText } from './schedule.js';
import { committedEvents, Workload, type WorkloadCounts } from './workload.js';

/** What one run is asked to do. */
export interface RelayFaultsOptions {
  readonly client: KafkaClient;
  readonly seed: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly leaseMs: number;
  /** The fault put in on purpose, by which the check is tried. */
  readonly isAckingEarly: boolean;
}

const PARTITIONS = 6;
const TOPIC = 'outbox.event.order';
const NAMES = { source: 'main', route: 'faults' };
/** After the end of the last fault. */
const CATCH_UP_MS = 30_000;
const POLL_MS = 50;
const IS_DONE_SQL = 'select low >= (select max(position) from millrace.outbox) as is_done from millrace.ledger';

/**
 * Two relays on one route under a steady load, killed again and again, Kafka and PostgreSQL once each; then quiet, and
 * everything that was committed is held against everything that is in the topic. True when no promise was broken, or,
 * with the fault put in on purpose, when it was found.
 */
export async function runRelayFaults(options: RelayFaultsOptions): Promise<boolean> {
  const schedule = faultSchedule(options.seed, options.seconds);
  say(`\n${options.client}, seed ${options.seed}, ${options.seconds} s of ${options.eventsPerSecond} events/s`);
  const servers = await startServers({ kafkaHeapMb: 512, postgresSettings: { shared_buffers: '256MB' } });
  let isAsExpected = false;
  try {
    const isPassed = printReport(await runOn(servers, options, schedule));
    isAsExpected = isPassed !== options.isAckingEarly;
  } finally {
    await servers.stop(isAsExpected ? 'remove' : 'keep');
    if (!isAsExpected) {
      say(`  logs: ${servers.folder}`);
    }
  }
  return isAsExpected;
}

async function runOn(servers: Servers, options: RelayFaultsOptions, schedule: readonly Fault[]): Promise<RunReport> {
  const databaseUrl = await createMigratedDatabase(servers.postgres, 'faults');
  const { brokers } = servers.kafka;
  await createTopic({ brokers, topic: TOPIC, partitions: PARTITIONS });
  const route = { name: NAMES.route, topic: 'outbox.event.{aggregatetype}' };
  const relays = await RelayPair.start({ ...options, folder: servers.folder, databaseUrl, brokers, route });
  try {
    const workload = await Workload.start({ ...options, databaseUrl });
    await relays.leader();
    await runSchedule({ servers, relays, schedule, seconds: options.seconds });
    const counts = await workload.stop();
    await relays.complete();
    const caughtUpMs = await catchUp(databaseUrl);
    const committed = await committedEvents(databaseUrl);
    const records = await consoleConsume({ brokers, topic: TOPIC });
    return reportOf({ schedule, relays, counts, committed, caughtUpMs, records });
  } finally {
    await relays.stop();
  }
}

interface Course {
  readonly servers: Servers;
  readonly relays: RelayPair;
  readonly schedule: readonly Fault[];
  readonly seconds: number;
}

/** One fault after the other, each at its time or as soon as the one before it is over. */
async function runSchedule({ servers, relays, schedule, seconds }: Course): Promise<void> {
  const startedMs = performance.now();
  const clock = (): string => `${((performance.now() - startedMs) / 1_000).toFixed(1)} s`;
  for (const fault of schedule) {
    await sleep(Math.max(0, startedMs + fault.atMs - performance.now()));
    const began = clock();
    const outcome = await inject(fault, servers, relays);
    say(`  ${faultText(fault)}${outcome} (was from ${began} to ${clock()})`);
  }
  await sleep(Math.max(0, startedMs + seconds * 1_000 - performance.now()));
}

/** Each fault meets a relay that is at work; what is to be said of it beside its name is returned. */
async function inject(fault: Fault, { postgres, kafka }: Servers, relays: RelayPair): Promise<string> {
  const leader = await relays.leader();
  switch (fault.kind) {
    case 'kill-leader':
      await relays.kill(leader, faultName(fault), fault.downMs);
      return '';
    case 'kill-standby': {
      const standby = await relays.standby();
      await (standby && relays.kill(standby, fault.kind, fault.downMs));
      return standby === undefined ? ': there was none' : '';
    }
    case 'freeze-leader':
      await relays.freeze(leader, fault.kind, fault.downMs);
      return '';
    case 'kill-at-barrier': {
      const isReached = await relays.reach(leader, fault.barrier);
      await relays.kill(leader, faultName(fault), fault.downMs);
      return isReached ? '' : ': not reached in time, killed elsewhere';
    }
    case 'kill-kafka':
      await kafka.kill();
      await sleep(fault.downMs);
      await kafka.start();
      return '';
    case 'kill-postgres':
      relays.leaderLoses(fault.kind);
      await postgres.kill();
      await sleep(fault.downMs);
      await postgres.start();
      return '';
  }
}

/** Milliseconds until the ledger has settled all that was committed; `undefined` when it has not in time. */
async function catchUp(databaseUrl: string): Promise<number | undefined> {
  const startedMs = performance.now();
  return withClient(databaseUrl, async (client) => {
    while (performance.now() - startedMs < CATCH_UP_MS) {
      const { rows } = await client.query<{ is_done: boolean }>(IS_DONE_SQL);
      if (rows[0]?.is_done === true) {
        return performance.now() - startedMs;
      }
      await sleep(POLL_MS);
    }
    return undefined;
  });
}

interface RunOutcome {
  readonly schedule: readonly Fault[];
  readonly relays: RelayPair;
  readonly counts: WorkloadCounts;
  readonly committed: readonly CommittedEvent[];
  readonly caughtUpMs: number | undefined;
  readonly records: readonly ConsumedRecord[];
}

function reportOf({ schedule, relays, committed, records, ...rest }: RunOutcome): RunReport {
  return {
    ...rest,
    faults: schedule.map(({ kind }) => kind),
    takeOvers: relays.takeOvers,
    crashes: relays.crashes,
    endsOfEpochs: relays.endsOfEpochs,
    committed: committed.length,
    verdict: checkDeliveries(committed, records, NAMES),
    stops: relays.logFiles.flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line.includes('"route stopped"')),
    ),
  };
}
