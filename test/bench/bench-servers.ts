import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '@millrace/schema';
import { LocalKafka, LocalPostgres } from '@millrace/testing';
import pg from 'pg';

/** The servers of one run, with their data in a temporary folder. */
export interface BenchServers {
  readonly folder: string;
  readonly postgres: LocalPostgres;
  readonly kafka: LocalKafka;
  stop(): Promise<void>;
}

/** Memory as a small production server has it; durability is PostgreSQL's default. */
const POSTGRES_SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
  random_page_cost: 1.1,
};

/** Starts a durable PostgreSQL and a Kafka broker of 1 GiB on free ports. */
export async function startBenchServers(): Promise<BenchServers> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  chmodSync(folder, 0o755); // PostgreSQL may run under another account
  const postgres = new LocalPostgres({
    dataDir: join(folder, 'postgres'),
    settings: POSTGRES_SETTINGS,
    temporaryDir: folder,
  });
  const kafka = new LocalKafka({ dataDir: join(folder, 'kafka'), heapMb: 1_024, temporaryDir: folder });
  const stop = async (): Promise<void> => {
    await Promise.all([postgres.stop('immediate'), kafka.stop()]);
    rmSync(postgres.dataDir, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([postgres.start(), kafka.start()]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { folder, postgres, kafka, stop };
}

/** Creates a database with schema `millrace`. */
export async function createMigratedDatabase(postgres: LocalPostgres, name: string): Promise<string> {
  await withClient(postgres.adminUrl, async (client) => client.query(`create database ${name}`));
  const url = postgres.databaseUrl(name);
  await migrate({ databaseUrl: url });
  return url;
}

/** Runs `work` on a connection of its own. */
export async function withClient<Result>(
  databaseUrl: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'millrace bench' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
