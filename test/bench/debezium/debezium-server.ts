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
}

const SLOT = 'debezium_parity';
const IS_READING_SQL = `select active from pg_replication_slots where slot_name = '${SLOT}'`;

/** A running Debezium Server with the outbox event router on our outbox table, from the moment of its start on. */
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
    const { folder, databaseUrl } = options;
    mkdirSync(join(folder, 'config'), { recursive: true });
    writeFileSync(join(folder, 'config', 'application.properties'), await propertiesOf(options));
    const classPath = `${join(folder, 'config')}:${await debeziumClassPath()}`;
    const log = openSync(join(folder, 'debezium.log'), 'a');
    const server = new DebeziumServer(
      spawn(javaForDebezium(), ['-Xmx512m', '-cp', classPath, 'io.debezium.server.Main'], {
        cwd: folder,
        stdio: ['ignore', log, log],
      }),
    );
    closeSync(log);
    try {
      await withClient(databaseUrl, async (client) =>
        until(
          async () => (await client.query<{ active: boolean }>(IS_READING_SQL)).rows[0]?.active,
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

  /** Ends it at once. */
  async stop(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exited;
  }
}

/** As its documentation has it for the event router, and with the columns that we have beside Debezium's. */
async function propertiesOf({ folder, databaseUrl, brokers }: DebeziumServerOptions): Promise<string> {
  const { hostname, port, username, pathname } = new URL(databaseUrl);
  const serializer = 'org.apache.kafka.common.serialization.StringSerializer';
  const properties: Readonly<Record<string, string | number>> = {
    'debezium.sink.type': 'kafka',
    'debezium.sink.kafka.producer.bootstrap.servers': brokers.join(),
    'debezium.sink.kafka.producer.key.serializer': serializer,
    'debezium.sink.kafka.producer.value.serializer': serializer,
    'debezium.source.connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'debezium.source.plugin.name': 'pgoutput',
    'debezium.source.offset.storage.file.filename': join(folder, 'offsets.dat'),
    'debezium.source.offset.flush.interval.ms': 0,
    'debezium.source.database.hostname': hostname,
    'debezium.source.database.port': port,
    'debezium.source.database.user': username,
    'debezium.source.database.password': 'not-asked-for',
    'debezium.source.database.dbname': pathname.slice(1),
    'debezium.source.topic.prefix': 'debezium',
    'debezium.source.slot.name': SLOT,
    'debezium.source.publication.name': 'millrace',
    'debezium.source.publication.autocreate.mode': 'disabled',
    'debezium.source.schema.include.list': 'millrace',
    'debezium.source.table.include.list': 'millrace.outbox',
    'debezium.source.snapshot.mode': 'no_data',
    'debezium.source.tombstones.on.delete': 'false',
    // the relay's own marks in the WAL, which would become records of a topic that is not there
    'debezium.source.message.prefix.exclude.list': 'millrace.*',
    'debezium.format.key': 'simplestring',
    'debezium.format.value': 'simplestring',
    'debezium.format.header.schemas.enable': 'false',
    'debezium.transforms': 'outbox',
    'debezium.transforms.outbox.type': 'io.debezium.transforms.outbox.EventRouter',
    'debezium.transforms.outbox.table.fields.additional.placement':
      'type:header:eventType,aggregateversion:header:aggregateversion',
    'quarkus.http.port': await freePort(),
    'quarkus.log.console.json': 'false',
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
