import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '@millrace/schema';
import { LocalKafka, LocalPostgres } from '@millrace/testing';
import pg from 'pg';

/** The servers of one run, with their data in a temporary folder. */
export interface Servers {
  readonly folder: string;
  readonly postgres: LocalPostgres;
  readonly kafka: LocalKafka;
  /** Removes the data; the logs, in `folder`, only when nobody needs them any more. */
  stop(logs: 'keep' | 'remove'): Promise<void>;
}

/** What the servers are given. */
export interface ServersOptions {
  readonly kafkaHeapMb: number;
  readonly kafkaSettings?: Readonly<Record<string, string | number>> | undefined;
  /** Memory and checkpoints; what makes PostgreSQL durable stays as it is by default. */
  readonly postgresSettings: Readonly<Record<string, string | number>>;
}

/** Starts a durable PostgreSQL and a Kafka of one node on free ports. */
export async function startServers({ kafkaHeapMb, kafkaSettings, postgresSettings }: ServersOptions): Promise<Servers> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-run-'));
  chmodSync(folder, 0o755); // PostgreSQL may run under another account
  const postgres = new LocalPostgres({
    dataDir: join(folder, 'postgres'),
    settings: postgresSettings,
    temporaryDir: folder,
  });
  const kafka = new LocalKafka({
    dataDir: join(folder, 'kafka'),
    heapMb: kafkaHeapMb,
    settings: kafkaSettings,
    temporaryDir: folder,
  });
  const stop = async (logs: 'keep' | 'remove'): Promise<void> => {
    await Promise.all([postgres.stop('immediate'), kafka.stop()]);
    for (const path of [postgres.dataDir, join(folder, 'kafka'), ...(logs === 'remove' ? [folder] : [])]) {
      rmSync(path, { recursive: true, force: true });
    }
  };
  try {
    await Promise.all([postgres.start(), kafka.start()]);
  } catch (error) {
    await stop('keep');
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
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'millrace run' });
  client.on('error', () => undefined); // a server that was killed on purpose: the next query tells
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
