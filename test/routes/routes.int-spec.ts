import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type CaptureMode, createOutboxSource } from '@millrace/capture';
import { defineEvent, HEADER } from '@millrace/events';
import { HandleEvent, InboxModule, type ReceivedEvent, type Transaction } from '@millrace/inbox';
import { RelayEngine, type RouteConfig } from '@millrace/relay';
import {
  createTestDatabase,
  createTopic,
  type TestDatabase,
  testKafkaBrokers,
  uniqueName,
  until,
} from '@millrace/testing';
import { createKafkaSink, createKafkaSubscription, type Delivery, type SinkPort } from '@millrace/transport';
import { type DynamicModule, Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { z } from 'zod';

const PARTITIONS = 3;
const KEYS = 7;

let database: TestDatabase;
let client: pg.Client;
let topic: string;
let closing: (() => Promise<void>)[];

beforeEach(async () => {
  closing = [];
  database = await createTestDatabase();
  client = await database.connect();
  topic = uniqueName('topic');
  await createTopic({ brokers: testKafkaBrokers(), topic, partitions: PARTITIONS });
});

afterEach(async () => {
  for (const close of closing.reverse()) {
    await close();
  }
  await client.query(
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()',
  );
  await client.end();
  await database.drop();
});

/** Events of three aggregate types and two event types, half of them with a tenant, each in a transaction of its own. */
async function insert(count: number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    await client.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, headers)
       values (gen_random_uuid(), $1, $2, $3, $4, $5)`,
      [
        ['order', 'stock', 'payment'][number % 3],
        `key-${number % KEYS}`,
        ['order.placed', 'order.paid'][number % 2],
        JSON.stringify({ number }),
        number % 4 < 2 ? null : JSON.stringify({ tenant: ['blue', 'red'][number % 4 === 2 ? 0 : 1] }),
      ],
    );
  }
}

function newSink(): SinkPort {
  const connection = { brokers: testKafkaBrokers() };
  return createKafkaSink({ client: 'platformatic', connection, topics: { create: false } });
}

async function publish(routes: readonly Omit<RouteConfig, 'source' | 'sink'>[], capture: CaptureMode): Promise<void> {
  const engine = new RelayEngine({
    owner: uniqueName('relay'),
    sources: new Map([['shop', createOutboxSource({ name: 'shop', databaseUrl: database.url, capture })]]),
    sinks: new Map([['kafka', newSink()]]),
    routes: routes.map((route) => ({ ...route, source: 'shop', sink: 'kafka' })),
  });
  engine.start();
  try {
    await until(
      async () =>
        client.query<{ settled: string }>(
          `select count(*) as settled from millrace.ledger
           where route = any($1) and low >= (select max(position) from millrace.outbox)`,
          [routes.map(({ name }) => name)],
        ),
      ({ rows }) => Number(rows[0]?.settled) === routes.length,
      'every route to settle every event',
    );
  } finally {
    await engine.stop();
  }
}

/** All records of the topic, partition by partition in their order. */
async function records(): Promise<readonly Delivery[]> {
  const sink = newSink();
  await sink.start();
  try {
    const found: Delivery[] = [];
    const request = { isWanted: (name: string) => name === topic, sinceMs: 0, signal: new AbortController().signal };
    await sink.readBack?.(request, (batch) => {
      found.push(...batch);
      return Promise.resolve();
    });
    return found;
  } finally {
    await sink.stop();
  }
}

function text(delivery: Delivery, name: string): string {
  return delivery.headers.get(name)?.toString() ?? '';
}

/** The ids that a route sent, key by key in their order. */
function sentBy(route: string, all: readonly Delivery[]): Record<string, readonly string[]> {
  const byKey: Record<string, string[]> = {};
  for (const delivery of all.filter((each) => text(each, HEADER.route) === route)) {
    (byKey[delivery.key?.toString() ?? ''] ??= []).push(text(delivery, HEADER.id));
  }
  return byKey;
}

async function wanted(condition: string): Promise<Record<string, readonly string[]>> {
  const { rows } = await client.query<{ key: string; ids: string[] }>(
    `select aggregateid as key, array_agg(id::text order by position) as ids from millrace.outbox
     where ${condition} group by aggregateid`,
  );
  return Object.fromEntries(rows.map(({ key, ids }) => [key, ids]));
}

describe.each<CaptureMode>(['polling', 'wal'])('several routes of one source, captured by %s', (capture) => {
  const everything = { name: 'everything' };
  const some = {
    name: 'some',
    aggregateTypes: ['order', 'stock'],
    eventTypes: ['order.placed'],
    headerValues: [{ name: 'tenant', values: ['blue', 'green'] }],
  };

  it('into one topic send each event once for each route that wants it, whatever the others have sent', async () => {
    await insert(60);
    await publish([{ ...everything, topic }], capture);
    // the second route finds the records of the first one in the topic, at its own positions
    await publish(
      [
        { ...everything, topic },
        { ...some, topic },
      ],
      capture,
    );
    await insert(60);
    await publish(
      [
        { ...everything, topic },
        { ...some, topic },
      ],
      capture,
    );

    const all = await records();
    const isWanted = `aggregatetype in ('order', 'stock') and type = 'order.placed' and headers ->> 'tenant' = 'blue'`;
    expect(sentBy('everything', all)).toEqual(await wanted('true'));
    expect(sentBy('some', all)).toEqual(await wanted(isWanted));
    expect(Object.keys(await wanted(isWanted)).length).toBeGreaterThan(1);
    const { rows } = await client.query<{ ledgers: string }>(
      'select count(distinct route) as ledgers from millrace.ledger where low = 120',
    );
    expect(rows).toEqual([{ ledgers: '2' }]);
  });
});

const Counted = defineEvent({
  type: 'order.counted',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.key,
  schema: z.object({ key: z.string(), number: z.number(), text: z.string() }),
});

@Injectable()
class Counting {
  @HandleEvent(Counted)
  async count({ payload, aggregateId, headers }: ReceivedEvent<typeof Counted>, tx: Transaction): Promise<void> {
    await tx.query('insert into counted (number, payload, aggregate, style) values ($1, $2, $3, $4)', [
      payload.number,
      JSON.stringify(payload),
      aggregateId,
      headers['style'],
    ]);
  }
}

class DatabaseModule {
  readonly name = 'database';
}

async function consume(): Promise<void> {
  const dataSource = await new DataSource({
    type: 'postgres',
    url: database.url,
    extra: { statement_timeout: 50_000, lock_timeout: 45_000, idle_in_transaction_session_timeout: 55_000 },
  }).initialize();
  const databaseModule: DynamicModule = {
    module: DatabaseModule,
    global: true,
    providers: [{ provide: DataSource, useValue: dataSource }],
    exports: [DataSource],
  };
  const inbox = InboxModule.forRoot({
    consumer: uniqueName('consumer'),
    database: DataSource,
    topicOf: () => topic,
    subscribe: ({ consumer: groupId, topics }) =>
      createKafkaSubscription({ client: 'platformatic', connection: { brokers: testKafkaBrokers() }, groupId, topics }),
  });
  const testing = await Test.createTestingModule({ imports: [databaseModule, inbox], providers: [Counting] }).compile();
  testing.useLogger(false);
  const application = await testing.init();
  closing.push(async () => {
    await application.close();
    await dataSource.destroy();
  });
}

describe('a consumer with an inbox', () => {
  it('is given the same events whatever the format, the key and the added headers of the route', async () => {
    await client.query('create table counted (number integer, payload jsonb, aggregate text, style text)');
    const styles = ['raw', 'binary', 'structured', 'keyed'];
    for (let number = 0; number < 40; number += 1) {
      const payload = { key: `k-${number}`, number, text: `ü "${number}" \u2028 \\` };
      await client.query(
        `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, headers)
         values (gen_random_uuid(), 'order', $1, 'order.counted', $2, $3)`,
        [`k-${number}`, JSON.stringify(payload), JSON.stringify({ style: styles[number % 4] })],
      );
    }
    const only = (style: string): Pick<RouteConfig, 'name' | 'headerValues' | 'topic'> => ({
      name: style,
      topic: { by: 'aggregatetype', regex: 'order', replacement: topic },
      headerValues: [{ name: 'style', values: [style] }],
    });
    await publish(
      [
        only('raw'),
        { ...only('binary'), format: { kind: 'cloudevents', mode: 'binary' } },
        { ...only('structured'), format: { kind: 'cloudevents', mode: 'structured' } },
        { ...only('keyed'), key: '{type}', headers: { set: { about: '{aggregateid}' } } },
      ],
      'polling',
    );

    await consume();
    const { rows } = await until(
      async () => client.query<Record<string, unknown>>('select * from counted order by number'),
      ({ rowCount }) => rowCount === 40,
      'every event to be applied',
    );
    expect(rows).toEqual(
      Array.from({ length: 40 }, (_, number) => ({
        number,
        payload: { key: `k-${number}`, number, text: `ü "${number}" \u2028 \\` },
        aggregate: `k-${number}`,
        style: styles[number % 4],
      })),
    );
  });
});
