import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalKafka } from './local-kafka.js';
import { FAST_UNSAFE_SETTINGS, LocalPostgres } from './local-postgres.js';

/** The servers of one test run. */
export interface TestServers {
  readonly postgresUrl: string;
  readonly kafkaBrokers: readonly string[];
  /** Stops what was started and removes its data. */
  stop(): Promise<void>;
}

/** Addresses of servers that are there already. */
export interface GivenServers {
  readonly postgresUrl?: string | undefined;
  readonly kafkaBrokers?: string | undefined;
}

/** Starts, side by side, those servers of a test run that are not given, on free ports, with their data in a temporary folder. */
export async function startTestServers(given: GivenServers): Promise<TestServers> {
  const temporaryDir = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  const postgres = new LocalPostgres({
    dataDir: join(temporaryDir, 'postgres'),
    // autovacuum comes when it likes, and has an xid and locks that some statement under test then meets
    settings: { ...FAST_UNSAFE_SETTINGS, max_connections: 300, max_worker_processes: 16, autovacuum: 'off' },
    temporaryDir,
  });
  const kafka = new LocalKafka({ dataDir: join(temporaryDir, 'kafka'), isQuickStart: true, temporaryDir });
  const stop = async (): Promise<void> => {
    await Promise.all([postgres.stop('immediate'), kafka.stop()]);
    rmSync(temporaryDir, { recursive: true, force: true });
    if (postgres.dataDir !== join(temporaryDir, 'postgres')) {
      rmSync(postgres.dataDir, { recursive: true, force: true });
    }
  };
  const started = await Promise.allSettled([
    given.postgresUrl === undefined ? postgres.start() : undefined,
    given.kafkaBrokers === undefined ? kafka.start() : undefined,
  ]);
  const failed = started.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return {
    postgresUrl: given.postgresUrl ?? postgres.adminUrl,
    kafkaBrokers: given.kafkaBrokers?.split(',') ?? kafka.brokers,
    stop,
  };
}
