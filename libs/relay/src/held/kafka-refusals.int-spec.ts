import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { changeHeld, createOutboxSource, listHeldKeys, listParked, type ParkedEvent } from '@millrace/capture';
import {
  alterTopic,
  consoleConsume,
  createTestDatabase,
  createTopic,
  type TestDatabase,
  testKafkaBrokers,
  uniqueName,
  until,
} from '@millrace/testing';
import { createKafkaSink, type KafkaClientName } from '@millrace/transport';
import type pg from 'pg';
import { RelayEngine } from '../relay-engine.js';
import { type PoisonPolicy } from './poison-policy.js';

const TIMEOUT_MS = 240_000;
/** Of a record that the topic takes, and of the settings that it has at first and later. */
const [SMALL_BYTES, LARGE_BYTES, TOPIC_BYTES, MENDED_BYTES] = [100, 3_000, 2_000, 100_000];
const CLIENTS: readonly KafkaClientName[] = ['platformatic', 'kafkajs'];

let database: TestDatabase;
let client: pg.Client;
let topic: string;
let engine: RelayEngine;

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  topic = uniqueName('refuses');
  await createTopic({ brokers: testKafkaBrokers(), topic, configs: { 'max.message.bytes': String(TOPIC_BYTES) } });
});

afterEach(async () => {
  await engine.stop();
  await client.end();
  await database.drop();
});

function start(kafkaClient: KafkaClientName, onPoison: PoisonPolicy): void {
  const sink = createKafkaSink({
    client: kafkaClient,
    connection: { brokers: testKafkaBrokers() },
    topics: { create: false },
  });
  engine = new RelayEngine({
    owner: 'relay',
    sources: new Map([['db', createOutboxSource({ name: 'db', databaseUrl: database.url })]]),
    sinks: new Map([['kafka', sink]]),
    routes: [
      {
        ...{ name: 'orders', source: 'db', sink: 'kafka', topic, onPoison },
        held: { retryMinMs: 300, retryMaxMs: 600 },
        tuning: { leaseTtlMs: 1_500, leaseMarginMs: 300 },
      },
    ],
  });
  engine.start();
}

/** Of each of two keys three events, in one page; the second one of `large` is too large for the topic. */
async function publish(): Promise<void> {
  for (const [index, key] of ['fine', 'large', 'fine', 'large', 'large', 'fine'].entries()) {
    const bytes = index === 3 ? LARGE_BYTES : SMALL_BYTES;
    await client.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
       values (gen_random_uuid(), 'order', $1, 'order.placed', jsonb_build_object('n', $2::integer, 'text', $3::text))`,
      [key, index + 1, randomBytes(bytes).toString('base64').slice(0, bytes)],
    );
  }
}

/** The `n` of the records of a key, once there are `count` records of all. */
async function stored(count: number): Promise<{ readonly fine: number[]; readonly large: number[] }> {
  const records = await consoleConsume({ brokers: testKafkaBrokers(), topic, count });
  const of = (key: string): number[] =>
    records
      .filter((record) => record.key === key)
      .map(({ value }) => (JSON.parse(value ?? '') as { readonly n: number }).n);
  return { fine: of('fine'), large: of('large') };
}

async function refused(state: string): Promise<ParkedEvent> {
  const events = await until(
    () => listParked({ databaseUrl: database.url, route: 'orders', limit: 9 }),
    ([event]) => event?.state === state,
    `an event to be ${state}`,
  );
  expect(events).toHaveLength(1);
  const [event] = events;
  if (event === undefined) {
    throw new Error('no event');
  }
  return event;
}

async function mendTopic(): Promise<void> {
  await alterTopic({ brokers: testKafkaBrokers(), topic, configs: { 'max.message.bytes': String(MENDED_BYTES) } });
}

async function retry(): Promise<void> {
  const act = { action: 'retry' as const, filter: {}, actor: 'anna', reason: 'mended' };
  await changeHeld({ databaseUrl: database.url, route: 'orders', ...act });
}

/** Waits until nothing is held, retrying: a broker may refuse for a moment longer. */
async function released(act: () => Promise<void>): Promise<void> {
  await until(
    async () => {
      await act();
      const { rows } = await client.query<{ n: number }>(
        'select ((select count(*) from millrace.held) + (select count(*) from millrace.held_key))::integer as n',
      );
      return rows[0]?.n;
    },
    (n) => n === 0,
    'nothing to be held',
  );
}

describe.each(CLIENTS)('a record that a Kafka topic does not take, sent with %s', (kafkaClient) => {
  it(
    'is found in its batch; parked, it waits with its key until the topic is mended and a person says so',
    async () => {
      await publish();
      start(kafkaClient, 'park');
      const event = await refused('parked');
      expect(event).toMatchObject({ position: '4', aggregateId: 'large', code: 'record_too_large', attempts: 1 });
      expect(event.reason).toContain('MESSAGE_TOO_LARGE');
      expect(await stored(4)).toEqual({ fine: [1, 3, 6], large: [2] });
      expect(await listHeldKeys({ databaseUrl: database.url, route: 'orders', limit: 9 })).toMatchObject([
        { aggregateId: 'large', state: 'parked', events: 2, first: '4' },
      ]);

      await mendTopic();
      await released(retry);

      expect(await stored(6)).toEqual({ fine: [1, 3, 6], large: [2, 4, 5] });
    },
    TIMEOUT_MS,
  );

  it(
    'is left out alone where the route skips, and published when a person has it tried again',
    async () => {
      await publish();
      start(kafkaClient, 'skip');
      expect(await refused('skipped')).toMatchObject({ position: '4', code: 'record_too_large', nextTry: null });
      expect(await stored(5)).toEqual({ fine: [1, 3, 6], large: [2, 5] });

      await mendTopic();
      await released(retry);

      expect(await stored(6)).toEqual({ fine: [1, 3, 6], large: [2, 5, 4] });
    },
    TIMEOUT_MS,
  );

  it(
    'is tried again by itself where the route blocks, until the topic takes it',
    async () => {
      await publish();
      start(kafkaClient, 'block');
      await refused('held');
      expect(await stored(4)).toEqual({ fine: [1, 3, 6], large: [2] });

      await mendTopic();
      await released(() => Promise.resolve());

      expect(await stored(6)).toEqual({ fine: [1, 3, 6], large: [2, 4, 5] });
    },
    TIMEOUT_MS,
  );
});
