import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CaptureMode } from '@millrace/capture';
import { createTopic, deleteTopic, freePort } from '@millrace/testing';
import { type KafkaClient, RelayProcess } from '../../harness/relay-process.js';
import { createMigratedDatabase, type Servers, withClient } from '../../harness/servers.js';
import { type Cpu, cpuMs } from '../cpu.js';

/** How the relay process of a measurement is run. */
export interface RelaySetting {
  readonly client: KafkaClient;
  readonly capture: CaptureMode;
  /** Arguments for Node. */
  readonly nodeArguments: readonly string[];
}

/** One relay with databases and topics of its own. */
export interface BenchRelayOptions extends RelaySetting {
  /** Unique in the run; lower-case letters, digits and `_`. */
  readonly name: string;
  /** Each is a database with one route. */
  readonly sources: number;
}

interface Source {
  readonly name: string;
  readonly database: string;
  readonly databaseUrl: string;
  readonly topic: string;
}

/** Of every topic. */
export const PARTITIONS = 6;
const READY_MS = 60_000;
const SETTLED_MS = 600_000;
const POLL_MS = 20;
const TOPIC_SETTINGS = { 'message.timestamp.type': 'LogAppendTime' };
const STREAMS_SQL = `select s.active_pid from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid
where s.database = current_database() and r.state in ('catchup', 'streaming')`;
const SLOTS_SQL = 'select slot_name from pg_replication_slots where database = current_database()';

/** A relay process on empty databases, one route each, that reads as it was told: from the table, or from the stream. */
export class BenchRelay {
  private readonly streams = new Map<string, number>();

  private constructor(
    readonly process: RelayProcess,
    private readonly servers: Servers,
    private readonly sources: readonly Source[],
  ) {}

  /** Resolves when it is ready and every route reads as it was told. */
  static async start(servers: Servers, options: BenchRelayOptions): Promise<BenchRelay> {
    const sources = await sourcesOf(servers, options);
    const [first, ...others] = sources;
    const relay = new RelayProcess({
      file: join(servers.folder, options.name),
      databaseUrl: first?.databaseUrl ?? '',
      otherSources: Object.fromEntries(others.map(({ name, databaseUrl }) => [name, databaseUrl])),
      capture: options.capture,
      brokers: servers.kafka.brokers,
      client: options.client,
      port: await freePort(),
      routes: sources.map(({ name, topic }) => ({ name, source: name, topic: topicTemplateOf(topic) })),
      nodeArguments: options.nodeArguments,
    });
    const started = new BenchRelay(relay, servers, sources);
    try {
      await started.until(async () => relay.isReady(), 'did not get ready');
      if (options.capture === 'wal') {
        await started.until(async () => started.readsStreams(), 'did not read from its streams');
      }
      return started;
    } catch (error) {
      await relay.end('SIGKILL');
      throw error;
    }
  }

  /** The only route's, or the first one's. */
  get databaseUrl(): string {
    return this.sources[0]?.databaseUrl ?? '';
  }

  get databases(): readonly string[] {
    return this.sources.map(({ database }) => database);
  }

  private get route(): string {
    return this.sources[0]?.name ?? '';
  }

  /** Of events of the type `order`. */
  get topic(): string {
    return this.sources[0]?.topic ?? '';
  }

  /** Resolves when the first route has finished what it had in flight and sends no more. */
  async pause(): Promise<void> {
    await this.process.admin('POST', `routes/${this.route}/pause`, {});
    const isPaused = async (): Promise<boolean> => {
      const view = await this.process.admin('GET', `routes/${this.route}`);
      return Reflect.get(Object(Reflect.get(Object(view), 'state')), 'kind') === 'paused';
    };
    await this.until(isPaused, 'did not pause');
  }

  async resume(): Promise<void> {
    await this.process.admin('POST', `routes/${this.route}/resume`, {});
  }

  usage(): Cpu {
    return cpuMs(this.process.pid, this.servers);
  }

  /** Resolves when the first route's ledger says that everything up to `position` is settled. */
  async settled(position: number): Promise<void> {
    await withClient(this.databaseUrl, async (client) => {
      const isSettled = async (): Promise<boolean> => {
        const { rows } = await client.query<{ low: string }>('select low from millrace.ledger');
        return Number(rows[0]?.low ?? 0) >= position;
      };
      await this.until(isSettled, 'did not settle all events in time', SETTLED_MS);
    });
  }

  /** Rejects when the relay is not as `isReached` wants it in time, or ends. */
  async until(isReached: () => Promise<boolean>, complaint: string, withinMs = READY_MS): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!(await isReached())) {
      if (!this.process.isRunning || performance.now() > deadline) {
        throw new Error(`The relay ${complaint}: see ${this.process.options.file}.log.`);
      }
      await sleep(POLL_MS);
    }
  }

  /** Throws when a stream that was read from at the start is not read from any more: the figures are not of the stream. */
  async requireSameStreams(): Promise<void> {
    for (const [databaseUrl, pid] of this.streams) {
      if ((await activeStream(databaseUrl)) !== pid) {
        throw new Error(`The relay lost its stream while it was measured: see ${this.process.options.file}.log.`);
      }
    }
  }

  /** Ends the relay and removes its databases, slots and topics. */
  async end(): Promise<void> {
    await this.process.end('SIGTERM');
    for (const { database, databaseUrl, topic } of this.sources) {
      await withClient(databaseUrl, async (client) => {
        await client.query(`select pg_drop_replication_slot(slot_name) from (${SLOTS_SQL}) slots`);
      });
      await withClient(this.servers.postgres.adminUrl, async (client) => {
        await client.query(`drop database ${database} with (force)`);
      });
      await deleteTopic(this.servers.kafka.brokers, topic);
    }
  }

  private async readsStreams(): Promise<boolean> {
    for (const { databaseUrl } of this.sources) {
      const pid = await activeStream(databaseUrl);
      if (pid === undefined) {
        return false;
      }
      this.streams.set(databaseUrl, pid);
    }
    return true;
  }
}

async function sourcesOf({ postgres, kafka }: Servers, options: BenchRelayOptions): Promise<Source[]> {
  const sources: Source[] = [];
  for (let number = 1; number <= options.sources; number += 1) {
    const database = `${options.name}_${number}`;
    const topic = `${database}.order`;
    await createTopic({ brokers: kafka.brokers, topic, partitions: PARTITIONS, configs: TOPIC_SETTINGS });
    const databaseUrl = await createMigratedDatabase(postgres, database);
    sources.push({ name: number === 1 ? 'main' : `source-${number}`, database, databaseUrl, topic });
  }
  return sources;
}

function topicTemplateOf(topic: string): string {
  return topic.replace(/\.order$/, '.{aggregatetype}');
}

/** The server's process that streams to the relay; `undefined` while it reads from the table. */
async function activeStream(databaseUrl: string): Promise<number | undefined> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ active_pid: number }>(STREAMS_SQL);
    return rows[0]?.active_pid;
  });
}
