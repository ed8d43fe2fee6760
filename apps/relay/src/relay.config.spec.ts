import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { StartError } from '@millrace/http';
import { readRelaySettings } from './relay.config.js';

const URL_OF_ORDER = 'postgres://relay:s3cret@127.0.0.1:5432/orders';
const URL_OF_INVENTORY = 'postgres://relay@127.0.0.1:5432/inventory';
const URL_OF_PAYMENT = 'postgres://relay@127.0.0.1:5432/payment';
const ONE_SOURCE = { DATABASE_URL: URL_OF_ORDER, KAFKA_BROKERS: '127.0.0.1:9092' };

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-config-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

function problemsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  try {
    readRelaySettings(environment);
    return [];
  } catch (error) {
    if (error instanceof StartError) {
      return error.problems;
    }
    throw error;
  }
}

describe('the settings of one source from the environment', () => {
  it('need a database and brokers, no more', () => {
    const settings = readRelaySettings(ONE_SOURCE);
    expect(settings.http).toMatchObject({ PORT: 3000, HOST: '127.0.0.1', LOG_LEVEL: 'info' });
    expect(settings.adminToken).toBeUndefined();
    expect(settings.relay).toEqual({
      sources: [{ name: 'default', databaseUrl: URL_OF_ORDER, capture: 'polling' }],
      sinks: [
        {
          name: 'default',
          kind: 'kafka',
          options: {
            client: 'platformatic',
            connection: { brokers: ['127.0.0.1:9092'] },
            topics: { create: true, partitions: 6, replication: 1 },
            drainMs: 500,
          },
        },
      ],
      routes: [{ name: 'default', source: 'default', sink: 'default', tuning: { drainMs: 3_000 } }],
    });
  });

  it('take the capture, the Kafka client, TLS and SASL, and the admin token', () => {
    const settings = readRelaySettings({
      ...ONE_SOURCE,
      MILLRACE_CONFIG: '',
      MILLRACE_CAPTURE: 'wal',
      MILLRACE_KAFKA_CLIENT: 'kafkajs',
      MILLRACE_ADMIN_TOKEN: 'a-token-of-some-length',
      KAFKA_SSL: 'true',
      KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFKA_SASL_USERNAME: 'relay',
      KAFKA_SASL_PASSWORD: 's3cret',
    });
    expect(settings.adminToken).toBe('a-token-of-some-length');
    expect(settings.relay.sources[0]?.capture).toBe('wal');
    expect(settings.relay.sinks[0]?.options).toMatchObject({
      client: 'kafkajs',
      connection: { tls: {}, sasl: { mechanism: 'SCRAM-SHA-512', username: 'relay', password: 's3cret' } },
    });
  });

  it('are refused with every problem at once and no secret', () => {
    const problems = problemsOf({
      DATABASE_URL: 'mysql://relay:s3cret@127.0.0.1/orders',
      MILLRACE_CAPTURE: 'trigger',
      MILLRACE_KAFKA_CLIENT: 'rdkafka',
      MILLRACE_ADMIN_TOKEN: 's3cret',
      KAFKA_BROKERS: 'kafka://relay:s3cret@127.0.0.1:9092',
      KAFKA_SSL: 'yes',
      PORT: '70000',
    });
    expect(problems).toEqual([
      'PORT is not valid: give a whole number from 0 to 65535',
      'MILLRACE_CAPTURE is not valid: give polling, wal or auto',
      'MILLRACE_KAFKA_CLIENT is not valid: give platformatic or kafkajs',
      'MILLRACE_ADMIN_TOKEN is not valid: give at least 16 letters, digits or -._~+/, such as the output of: openssl rand -hex 32',
      'DATABASE_URL is not valid: give a PostgreSQL URL with a database, such as postgres://user:password@127.0.0.1:5432/orders',
      'KAFKA_BROKERS is not valid: give host:port, separated by commas, without a scheme.',
      'KAFKA_SSL is not valid: set it to true or false.',
    ]);
    expect(problems.join()).not.toContain('s3cret');
  });

  it('are refused when nothing is set, by the names of what is needed', () => {
    expect(problemsOf({})).toEqual([
      expect.stringMatching(/^DATABASE_URL is not set: give /),
      expect.stringMatching(/^KAFKA_BROKERS is not set: give /),
    ]);
  });
});

describe('the settings from a file', () => {
  const text = (more: string): string => `
version: 1
sources:
  order: { databaseUrl: \${ORDER_DATABASE_URL} }
sinks:
  main:
    kind: kafka
    brokers: \${KAFKA_BROKERS}
    topics: { create: false }
    tls: { ca: /etc/kafka/ca.pem }
    sasl: { mechanism: PLAIN, username: relay, password: \${KAFKA_PASSWORD} }
    compression: gzip
    messageBytesMax: 2000000
routes:
  order: { source: order, sink: main, filter: { aggregatetypes: [order] }, topic: "x.{aggregatetype}", from: now, batch: { records: 500, bytes: 65536 } }
${more}`;
  const environment = {
    ORDER_DATABASE_URL: URL_OF_ORDER,
    KAFKA_BROKERS: '127.0.0.1:9092,127.0.0.1:9093',
    KAFKA_PASSWORD: 's3cret',
  };

  it('become sources, sinks and routes', async () => {
    const path = await file('full.yaml', text('admin: { port: 3100 }'));
    const settings = readRelaySettings({ ...environment, MILLRACE_CONFIG: path, MILLRACE_KAFKA_CLIENT: 'kafkajs' });
    expect(settings.http.PORT).toBe(3100);
    expect(settings.relay).toEqual({
      sources: [{ name: 'order', databaseUrl: URL_OF_ORDER, capture: 'polling' }],
      sinks: [
        {
          name: 'main',
          kind: 'kafka',
          options: {
            client: 'kafkajs',
            connection: {
              brokers: ['127.0.0.1:9092', '127.0.0.1:9093'],
              tls: { caPath: '/etc/kafka/ca.pem' },
              sasl: { mechanism: 'PLAIN', username: 'relay', password: 's3cret' },
            },
            topics: { create: false },
            compression: 'gzip',
            messageBytesMax: 2_000_000,
            drainMs: 500,
          },
        },
      ],
      routes: [
        {
          name: 'order',
          source: 'order',
          sink: 'main',
          aggregateTypes: ['order'],
          topic: 'x.{aggregatetype}',
          from: { kind: 'now' },
          tuning: { drainMs: 3_000, batchRecordsMax: 500, batchBytesMax: 65_536 },
        },
      ],
    });
  });

  it('can name the database of a consumer as a sink', async () => {
    const path = await file(
      'postgres.yaml',
      `version: 1
sources: { order: { databaseUrl: \${ORDER_DATABASE_URL} } }
sinks: { inventory: { kind: postgres, databaseUrl: ${URL_OF_INVENTORY}, partitions: 3, keep: 2d, keepRead: 5m } }
routes: { order: { source: order, sink: inventory } }`,
    );
    const { relay } = readRelaySettings({ ...environment, MILLRACE_CONFIG: path });
    const options = { databaseUrl: URL_OF_INVENTORY, partitions: 3, keepMs: 172_800_000, keepReadMs: 300_000 };
    expect(relay.sinks).toEqual([{ name: 'inventory', kind: 'postgres', options: { ...options, drainMs: 500 } }]);
  });

  it('are valid as they stand beside the workspace, for Kafka and for none', () => {
    const given = {
      ORDER_DATABASE_URL: URL_OF_ORDER,
      INVENTORY_DATABASE_URL: URL_OF_INVENTORY,
      PAYMENT_DATABASE_URL: URL_OF_PAYMENT,
      KAFKA_BROKERS: '127.0.0.1:9092',
    };
    const read = (name: string): readonly [string, string][] => {
      const path = fileURLToPath(new URL(`../../../${name}`, import.meta.url));
      const { relay } = readRelaySettings({ ...given, MILLRACE_CONFIG: path });
      return relay.routes.map(({ source, sink }) => [source, sink]);
    };
    expect(read('millrace.yaml')).toEqual(['order', 'inventory', 'payment'].map((name) => [name, 'main']));
    expect(read('millrace.postgres.yaml')).toEqual([
      ['order', 'inventory'],
      ['order', 'payment'],
      ['inventory', 'order'],
      ['inventory', 'payment'],
      ['payment', 'order'],
    ]);
  });

  it('take the capture of each source, or that of the environment where a source names none', async () => {
    const path = await file(
      'capture.yaml',
      `version: 1
sources:
  order: { databaseUrl: \${ORDER_DATABASE_URL} }
  inventory: { databaseUrl: ${URL_OF_INVENTORY}, capture: auto }
  payment: { databaseUrl: ${URL_OF_PAYMENT}, capture: polling }
sinks: { main: { kind: kafka, brokers: "127.0.0.1:9092", topics: { create: false } } }
routes: { order: { source: order, sink: main } }`,
    );
    const capturesOf = (more: Readonly<Record<string, string>>): readonly string[] =>
      readRelaySettings({ ...environment, MILLRACE_CONFIG: path, ...more }).relay.sources.map(({ capture }) => capture);
    expect(capturesOf({})).toEqual(['polling', 'auto', 'polling']);
    expect(capturesOf({ MILLRACE_CAPTURE: 'wal' })).toEqual(['wal', 'auto', 'polling']);
  });

  it('become the settings of a Kafka cluster', async () => {
    const path = await file(
      'kafka.yaml',
      `version: 1
sources: { order: { databaseUrl: \${ORDER_DATABASE_URL} } }
sinks:
  main:
    kind: kafka
    brokers: "127.0.0.1:9092"
    topics:
      create: true
      partitions: 6
      replication: 3
      settings: { retention.ms: 3600000, cleanup.policy: delete }
      refuseOlderThan: 30s
    sasl: { mechanism: OAUTHBEARER, tokenFile: /run/kafka/token }
    compression: zstd
    idempotent: true
  other: { kind: kafka, brokers: "127.0.0.1:9093", topics: { create: false, partitions: 12 }, idempotent: false }
routes: { order: { source: order, sink: main } }`,
    );
    const { sinks } = readRelaySettings({ ...environment, MILLRACE_CONFIG: path }).relay;
    expect(sinks.map(({ options }) => options)).toEqual([
      {
        client: 'platformatic',
        connection: {
          brokers: ['127.0.0.1:9092'],
          sasl: { mechanism: 'OAUTHBEARER', tokenPath: '/run/kafka/token' },
        },
        topics: {
          create: true,
          partitions: 6,
          replication: 3,
          settings: { 'retention.ms': '3600000', 'cleanup.policy': 'delete' },
          refuseOlderThanMs: 30_000,
        },
        compression: 'zstd',
        idempotent: true,
        drainMs: 500,
      },
      {
        client: 'platformatic',
        connection: { brokers: ['127.0.0.1:9093'] },
        topics: { create: false, partitions: 12 },
        idempotent: false,
        drainMs: 500,
      },
    ]);
  });

  it('yield to PORT of the environment', async () => {
    const path = await file('port.yaml', text('admin: { port: 3100 }'));
    expect(readRelaySettings({ ...environment, MILLRACE_CONFIG: path, PORT: '3200' }).http.PORT).toBe(3200);
  });

  it('are refused with the problems of the file and of the environment at once, each told once', async () => {
    const path = await file('wrong.yaml', text('admin: { port: high }\nconsumers: {}'));
    const problems = problemsOf({
      KAFKA_BROKERS: 'kafka',
      KAFKA_PASSWORD: 's3cret',
      MILLRACE_CONFIG: path,
      LOG_LEVEL: 'loud',
    });
    expect(problems).toEqual([
      expect.stringMatching(/^LOG_LEVEL is not valid: give one of /),
      `${path}: sources.order.databaseUrl: takes its value from the environment variable ORDER_DATABASE_URL, which is not set; set it`,
      `${path}: sinks.main.brokers[0]: a text of 5 characters; give host:port, several separated by commas or as a list`,
      `${path}: consumers: a mapping; consumers are not available in this release: remove this`,
      `${path}: admin.port: a text of 4 characters; give a whole number from 0 to 65535`,
    ]);
    expect(problems.join()).not.toContain('s3cret');
  });

  it.each([
    ['topics: { create: true }', ['topics.partitions', 'topics.replication']],
    ['topics: { create: false }, tls: { cert: /c.pem }', ['tls']],
    ['topics: { create: false }, sasl: { mechanism: PLAIN, username: "" }', ['sasl.username', 'sasl.password']],
    ['topics: { create: false }, sasl: { mechanism: GSSAPI }', ['sasl.mechanism']],
    ['topics: { create: false }, sasl: { mechanism: OAUTHBEARER }', ['sasl.token']],
    ['topics: { create: false }, sasl: { mechanism: OAUTHBEARER, token: a, tokenFile: /t }', ['sasl.token']],
    ['topics: { create: false, replication: 3, settings: {} }', ['topics.replication', 'topics.settings']],
    ['topics: { create: false, refuseOlderThan: 30s }', ['topics.refuseOlderThan']],
    ['topics: { create: true, partitions: 6, replication: 3, refuseOlderThan: 10s }', ['topics.refuseOlderThan']],
    [
      'topics: { create: true, partitions: 6, replication: 3, refuseOlderThan: 30s, settings: { message.timestamp.type: LogAppendTime } }',
      ['topics.refuseOlderThan'],
    ],
    [
      'topics: { create: true, partitions: 6, replication: 3, settings: { "Retention": 1 } }',
      ['topics.settings.Retention'],
    ],
    ['topics: { create: false }, compression: brotli', ['compression']],
    ['topics: { create: false }, client: kafkajs, compression: lz4', ['compression']],
    ['topics: { create: false }, client: kafkajs, idempotent: true', ['idempotent']],
    ['colour: red', ['topics', 'colour']],
  ])('are refused for the sink { %s }', async (sink, paths) => {
    const path = await file(
      'sink.yaml',
      `version: 1
sources: { order: { databaseUrl: \${ORDER_DATABASE_URL} } }
sinks: { main: { kind: kafka, brokers: "127.0.0.1:9092", ${sink} } }
routes: { order: { source: order, sink: main } }`,
    );
    const problems = problemsOf({ ...environment, MILLRACE_CONFIG: path });
    expect(problems.map((line) => line.slice(path.length + 2).split(':')[0])).toEqual(
      paths.map((name) => `sinks.main.${name}`),
    );
  });

  it('are refused when the file is not there', () => {
    expect(problemsOf({ MILLRACE_CONFIG: join(folder, 'absent.yaml') })).toEqual([
      "MILLRACE_CONFIG names a file that can't be read (ENOENT): give the path of a YAML file",
    ]);
  });

  it('are those that the example at the top of the repository says', () => {
    const example = join(import.meta.dirname, '..', '..', '..', 'millrace.yaml');
    const { relay, http } = readRelaySettings({
      ...environment,
      INVENTORY_DATABASE_URL: URL_OF_INVENTORY,
      PAYMENT_DATABASE_URL: URL_OF_PAYMENT,
      MILLRACE_CONFIG: example,
    });
    expect(http.PORT).toBe(3000);
    expect(relay.sources).toEqual([
      { name: 'order', databaseUrl: URL_OF_ORDER, capture: 'polling' },
      { name: 'inventory', databaseUrl: URL_OF_INVENTORY, capture: 'polling' },
      { name: 'payment', databaseUrl: URL_OF_PAYMENT, capture: 'polling' },
    ]);
    expect(relay.sinks[0]?.options).toMatchObject({
      client: 'platformatic',
      topics: { create: true, partitions: 6, replication: 1 },
    });
    const routeOf = (source: string, aggregateType: string): object => ({
      name: source,
      source,
      sink: 'main',
      aggregateTypes: [aggregateType],
      topic: 'outbox.event.{aggregatetype}',
      onPoison: 'block',
      tuning: { drainMs: 3_000 },
    });
    expect(relay.routes).toEqual([
      routeOf('order', 'order'),
      routeOf('inventory', 'stock'),
      routeOf('payment', 'payment'),
    ]);
  });
});
