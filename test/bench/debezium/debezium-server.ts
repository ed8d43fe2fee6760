import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, leash, until } from '@millrace/testing';
import { withClient } from '../../harness/servers.js';
import { debeziumClassPath, javaForDebezium } from './debezium-libraries.js';

/** Between which servers it runs. */
export interface DebeziumServerOptions {
  /** For its configuration, its offsets and its log. */
  readonly folder: string;
  readonly databaseUrl: string;
  readonly brokers: readonly string[];
  /** Of its replication slot. */
  readonly slot: string;
  /** Settings beside those that are always the same, without `debezium.`; the publication must be there. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Its libraries look into java.lang. */
const JVM = ['-Xmx512m', '--add-opens=java.base/java.lang=ALL-UNNAMED'];
const IS_READING_SQL = 'select active from pg_replication_slots where slot_name = $1';

/** A running Debezium Server with the outbox event router, which reads from the moment of its start on. */
export class DebeziumServer {
  private readonly exited: Promise<void>;

  private constructor(private readonly process: ChildProcess) {
    const held = leash({ pid: process.pid ?? 0, signal: 'SIGKILL' });
    this.exited = new Promise((resolve) => {
      process.once('exit', () => {
        held.release();
        resolve();
      });
    });
  }

  /** Resolves when it reads its slot: what is committed from then on is published. */
  static async start(options: DebeziumServerOptions): Promise<DebeziumServer> {
    const { folder, databaseUrl, slot } = options;
    mkdirSync(join(folder, 'config'), { recursive: true });
    writeFileSync(join(folder, 'config', 'application.properties'), await propertiesOf(options));
    const classPath = `${join(folder, 'config')}:${await debeziumClassPath()}`;
    const log = openSync(join(folder, 'debezium.log'), 'a');
    const server = new DebeziumServer(
      spawn(javaForDebezium(), [...JVM, '-cp', classPath, 'io.debezium.server.Main'], {
        cwd: folder,
        stdio: ['ignore', log, log],
      }),
    );
    closeSync(log);
    try {
      await withClient(databaseUrl, async (client) =>
        until(
          async () => {
            server.requireRunning(folder);
            return (await client.query<{ active: boolean }>(IS_READING_SQL, [slot])).rows[0]?.active;
          },
          (isActive) => isActive === true,
          `Debezium Server to read its slot: see ${join(folder, 'debezium.log')}`,
        ),
      );
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  private requireRunning(folder: string): void {
    if (this.process.exitCode !== null) {
      throw new Error(`Debezium Server has ended by itself: see ${join(folder, 'debezium.log')}`);
    }
  }

  /** Ends it at once. */
  async stop(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exited;
  }
}

/** As its documentation has it for the event router. */
async function propertiesOf(options: DebeziumServerOptions): Promise<string> {
  const { folder, databaseUrl, brokers, slot } = options;
  const { hostname, port, username, pathname } = new URL(databaseUrl);
  const serializer = 'org.apache.kafka.common.serialization.StringSerializer';
  const settings: Readonly<Record<string, string>> = {
    'sink.type': 'kafka',
    'sink.kafka.producer.bootstrap.servers': brokers.join(),
    'sink.kafka.producer.key.serializer': serializer,
    'sink.kafka.producer.value.serializer': serializer,
    'source.connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'source.plugin.name': 'pgoutput',
    'source.offset.storage.file.filename': join(folder, 'offsets.dat'),
    'source.offset.flush.interval.ms': '0',
    'source.database.hostname': hostname,
    'source.database.port': port,
    'source.database.user': username,
    'source.database.password': 'not-asked-for',
    'source.database.dbname': pathname.slice(1),
    'source.topic.prefix': 'debezium',
    'source.slot.name': slot,
    'source.publication.autocreate.mode': 'disabled',
    'source.snapshot.mode': 'no_data',
    'source.tombstones.on.delete': 'false',
    // the relay's own marks in the WAL, which would become records of a topic that is not there
    'source.message.prefix.exclude.list': 'millrace.*',
    'format.key': 'simplestring',
    'format.value': 'simplestring',
    transforms: 'outbox',
    'transforms.outbox.type': 'io.debezium.transforms.outbox.EventRouter',
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `debezium.${name}=${value}\n`);
  return [...lines, `quarkus.http.port=${await freePort()}\n`, 'quarkus.log.console.json.enabled=false\n'].join('');
}
