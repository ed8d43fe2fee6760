import { describe, expect, it } from '@jest/globals';
import { checkConfig } from './config-check.js';
import { problemLine } from './config-problem.js';
import { readConfigDocument } from './config-document.js';

const ENVIRONMENT = {
  ORDER_DATABASE_URL: 'postgres://relay:s3cret#{[@127.0.0.1:5432/orders',
  KAFKA_BROKERS: '127.0.0.1:9092, 127.0.0.1:9093',
  PARTITIONS: '12',
};

const FULL = `
version: 1
sources:
  order: { databaseUrl: \${ORDER_DATABASE_URL}, capture: auto }
sinks:
  main: { kind: kafka, brokers: \${KAFKA_BROKERS}, topics: { create: true, partitions: \${PARTITIONS}, replication: 1 } }
routes:
  order: { source: order, sink: main, filter: { aggregatetypes: [order] }, topic: "outbox.event.{aggregatetype}", onPoison: block }
admin: { port: 3000 }
`;

function read(text: string, environment: Readonly<Record<string, string>> = ENVIRONMENT): unknown {
  const document = readConfigDocument(text, environment);
  expect(document.problems).toEqual([]);
  return document.value;
}

function linesFor(text: string): readonly string[] {
  const check = checkConfig(read(text));
  return check.kind === 'valid' ? [] : check.problems.map(problemLine);
}

describe('the configuration file', () => {
  it('is taken as the documentation writes it, with values from the environment', () => {
    const url = 'postgres://relay:secret@127.0.0.1:5432/orders';
    expect(checkConfig(read(FULL, { ...ENVIRONMENT, ORDER_DATABASE_URL: url }))).toEqual({
      kind: 'valid',
      file: {
        version: 1,
        sources: { order: { databaseUrl: url, capture: 'auto' } },
        sinks: {
          main: {
            kind: 'kafka',
            brokers: ['127.0.0.1:9092', '127.0.0.1:9093'],
            topics: { create: true, partitions: 12, replication: 1 },
          },
        },
        routes: {
          order: {
            source: 'order',
            sink: 'main',
            filter: { aggregatetypes: ['order'] },
            topic: 'outbox.event.{aggregatetype}',
            onPoison: 'block',
          },
        },
        admin: { port: 3000 },
      },
    });
  });

  it.each([
    [
      'kind: rabbitmq',
      ['kind: a text of 8 characters; rabbitmq is not available in this release: give kafka, postgres or sqs'],
    ],
    ['kind: carrier-pigeon', ['kind: a text of 14 characters; give kafka, postgres or sqs']],
    ['brokers: "127.0.0.1:9092"', ['kind: missing; give kafka, postgres or sqs']],
    [
      'kind: postgres, databaseUrl: shop, partitions: 0, keep: soon, brokers: []',
      [
        'databaseUrl: a text of 4 characters; give a PostgreSQL URL with a database, such as postgres://user:password@127.0.0.1:5432/orders',
        'partitions: a whole number; give a whole number from 1 to 1000',
        'keep: a text of 4 characters; give a time such as 7d, 12h, 30m or 45s',
        'brokers: unknown key; known here: kind, databaseUrl, partitions, keep, keepRead, recordBytesMax',
      ],
    ],
  ])('tells what is wrong with the sink { %s }', (sink, problems) => {
    const lines = linesFor(`version: 1
sources: { order: { databaseUrl: "postgres://127.0.0.1/orders" } }
sinks: { main: { ${sink} } }
routes: { order: { source: order, sink: main } }`);
    expect(lines).toEqual(problems.map((problem) => `sinks.main.${problem}`));
  });

  it('tells all problems at once, each with its path, the kind of its value and what to do', () => {
    expect(
      linesFor(`
version: 2
sources:
  order: { databaseUrl: 5, capture: trigger, retention: { keep: soon }, colour: red }
  Bad Name: { databaseUrl: postgres://127.0.0.1/orders }
sinks:
  main: { kind: kafka, brokers: [], topics: { create: maybe, partitions: 0, replication: 1.5 }, client: rdkafka }
routes:
  order: { source: orders, sink: main, filter: { aggregatetypes: [] }, topic: "a b", from: yesterday, onPoison: await }
  empty:
consumers: { inventory: { databaseUrl: postgres://127.0.0.1/inventory } }
admin: { port: 70000 }
extra: 1
`),
    ).toEqual([
      'version: a whole number; give 1',
      'sources.order.databaseUrl: a whole number; give a PostgreSQL URL with a database, such as postgres://user:password@127.0.0.1:5432/orders',
      'sources.order.capture: a text of 7 characters; give polling, wal or auto',
      'sources.order.retention.keep: a text of 4 characters; give a time such as 7d, 12h, 30m or 45s',
      'sources.order.colour: unknown key; known here: databaseUrl, capture, retention',
      'sources.Bad Name: a name that cannot be used; give a name of 1 to 63 lower-case letters, digits, "-" and "_", beginning with a letter',
      'sinks.main.brokers: an empty list; give host:port, several separated by commas or as a list',
      'sinks.main.client: a text of 7 characters; give platformatic or kafkajs',
      'sinks.main.topics.create: a text of 5 characters; give true or false',
      'sinks.main.topics.partitions: a whole number; give a whole number from 1 to 10000',
      'sinks.main.topics.replication: a fraction; give a whole number from 1 to 100',
      'routes.order.filter.aggregatetypes: an empty list; give a list of aggregate types, at least one',
      'routes.order.topic: a text of 3 characters; give letters, digits, ".", "_", "-" and {aggregatetype}, {type}, {header:name}, {source} or {route}, at most 249 characters, or a mapping with: by, regex, replacement',
      'routes.order.from: a text of 9 characters; give earliest, now or the number of a position (in quotes above 9007199254740991)',
      'routes.order.onPoison: a text of 5 characters; give block, park or skip',
      'routes.empty: empty; give a mapping with: source, sink, filter, topic, key, headers, format, cloudEventsSource, from, shards, onPoison, held, batch',
      'consumers: a mapping; consumers are not available in this release: remove this',
      'admin.port: a whole number; give a whole number from 0 to 65535',
      'extra: unknown key; known here: version, sources, sinks, routes, admin',
      'routes.order.source: names no source of this file; give one of: order, Bad Name',
    ]);
  });

  it.each([
    ['version: 1', ['sources', 'sinks', 'routes']],
    ['', ['(the whole file)']],
    ['- a list', ['(the whole file)']],
    ['version: 1\nsources: {}\nsinks: {}\nroutes: {}', ['sources', 'sinks', 'routes']],
  ])('names what is missing in %j', (text, paths) => {
    const check = checkConfig(read(text));
    expect(check.kind === 'valid' ? [] : check.problems.map(({ path }) => path)).toEqual(paths);
  });

  it.each([
    '127.0.0.1',
    'http://127.0.0.1:9092',
    '127.0.0.1:9092,',
    'kafka:port',
    'kafka:65536',
    'user:127.0.0.1@kafka:9092',
    ' ',
  ])('refuses %j as a list of brokers without repeating it', (brokers) => {
    const lines = linesFor(
      `version: 1
sources: { order: { databaseUrl: postgres://127.0.0.1/orders } }
sinks: { main: { kind: kafka, brokers: "${brokers}", topics: { create: false } } }
routes: { order: { source: order, sink: main } }`,
    );
    expect(lines).toEqual([expect.stringContaining('give host:port, several separated by commas or as a list')]);
    expect(lines.join()).not.toContain('127.0.0.1');
  });

  it.each([
    ['earliest', { kind: 'earliest' }],
    ['now', { kind: 'now' }],
    ['0', { kind: 'position', position: 0n }],
    ['4711', { kind: 'position', position: 4711n }],
    ['"9007199254740993"', { kind: 'position', position: 9007199254740993n }],
  ])('lets a route begin at %s', (from, expected) => {
    const check = checkConfig(
      read(`version: 1
sources: { order: { databaseUrl: postgres://127.0.0.1/orders } }
sinks: { main: { kind: kafka, brokers: "kafka-1.example:9092", topics: { create: false } } }
routes: { order: { source: order, sink: main, from: ${from} } }`),
    );
    expect(check.kind === 'valid' ? check.file.routes['order']?.from : check).toEqual(expected);
  });

  it.each(['-1', '1.5', '9007199254740993', '"12345678901234567890"', 'later'])('lets no route begin at %s', (from) => {
    expect(
      linesFor(`version: 1
sources: { order: { databaseUrl: postgres://127.0.0.1/orders } }
sinks: { main: { kind: kafka, brokers: "127.0.0.1:9092", topics: { create: false } } }
routes: { order: { source: order, sink: main, from: ${from} } }`),
    ).toEqual([expect.stringMatching(/^routes\.order\.from: .*give earliest, now or the number of a position/)]);
  });
});
