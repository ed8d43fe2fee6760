import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createTopic, deleteTopic } from '@millrace/testing';
import type pg from 'pg';
import { ConsumerProcess } from '../../harness/consumer-process.js';
import { familyCpuMs, processCpuMs } from '../../harness/process-usage.js';
import { type KafkaClient } from '../../harness/relay-process.js';
import { createMigratedDatabase, type Servers, withClient } from '../../harness/servers.js';

/** What one consumer of a run is given. */
export interface ConsumerRunOptions {
  readonly servers: Servers;
  readonly client: KafkaClient;
  /** Unique; letters, digits and `_`. */
  readonly name: string;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly profileDir?: string | undefined;
}

/** Processor time in milliseconds, by who used it. */
export interface CpuUse {
  readonly consumer: number;
  readonly postgres: number;
  readonly kafka: number;
}

export const PARTITIONS = 12;
const MAIN = join(dirname(fileURLToPath(import.meta.url)), 'app', 'main.js');
/** What the handlers write to. */
export const TABLE_SQL = `create table placed (
  id uuid not null, order_id text not null, total_cents bigint not null, sent_at_ms bigint not null,
  placed_at timestamptz not null default clock_timestamp())`;
const COUNT_SQL = 'select count(*)::integer as count from placed';
const POLL_MS = 100;
const DEADLINE_MS = 300_000;

/** A database, a topic and a group of its own for one consumer process. */
export class ConsumerRun {
  private consumer: ConsumerProcess | undefined;

  private constructor(
    private readonly options: ConsumerRunOptions,
    readonly topic: string,
    readonly databaseUrl: string,
    readonly database: pg.Client,
  ) {}

  /** Prepares a run, gives it to `work`, and clears up after it. */
  static async with<Result>(options: ConsumerRunOptions, work: (run: ConsumerRun) => Promise<Result>): Promise<Result> {
    const { servers, name } = options;
    const { brokers } = servers.kafka;
    const topic = `bench.${name}`;
    await createTopic({ brokers, topic, partitions: PARTITIONS });
    const databaseUrl = await createMigratedDatabase(servers.postgres, name);
    try {
      return await withClient(databaseUrl, async (database) => {
        await database.query(TABLE_SQL);
        const run = new ConsumerRun(options, topic, databaseUrl, database);
        try {
          return await work(run);
        } finally {
          await run.consumer?.end('SIGTERM');
        }
      });
    } finally {
      await deleteTopic(brokers, topic);
      await withClient(servers.postgres.adminUrl, (admin) => admin.query(`drop database ${name} with (force)`));
    }
  }

  /** Starts the consumer; resolves when it has all partitions. */
  async start(): Promise<ConsumerProcess> {
    const { servers, client, name, environment, profileDir } = this.options;
    this.consumer = new ConsumerProcess({
      member: name,
      main: MAIN,
      file: join(servers.folder, name),
      databaseUrl: this.databaseUrl,
      brokers: servers.kafka.brokers,
      client,
      consumer: name,
      topic: this.topic,
      nodeArguments: profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`],
      environment,
    });
    await this.consumer.hasPartitions(PARTITIONS);
    return this.consumer;
  }

  /** Resolves when so many events were applied. */
  async applied(events: number): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS;
    while (performance.now() < deadline) {
      if ((await this.count()) >= events) {
        return;
      }
      await sleep(POLL_MS);
    }
    throw new Error(`The consumer did not apply ${events} events in time: see ${this.consumer?.options.file}.log.`);
  }

  /** Processor time until now; of Linux. */
  cpu(consumer: ConsumerProcess): CpuUse {
    const { postgres, kafka } = this.options.servers;
    return {
      consumer: processCpuMs(consumer.pid),
      postgres: familyCpuMs(postgres.pid),
      kafka: processCpuMs(kafka.pid),
    };
  }

  private async count(): Promise<number> {
    const { rows } = await this.database.query<{ count: number }>(COUNT_SQL);
    return rows[0]?.count ?? 0;
  }
}

/** What was used between two moments. */
export function cpuBetween(before: CpuUse, after: CpuUse): CpuUse {
  return {
    consumer: after.consumer - before.consumer,
    postgres: after.postgres - before.postgres,
    kafka: after.kafka - before.kafka,
  };
}
