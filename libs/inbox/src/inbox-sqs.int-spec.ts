import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { createTestDatabase, HttpFaultProxy, LocalSqs, type TestDatabase, uniqueName, until } from '@millrace/testing';
import { createSqsSink, createSqsSubscription, type SinkPort, type SinkTopic } from '@millrace/transport';
import { type DynamicModule, Injectable, type INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { HandleEvent, InboxModule, type ReceivedEvent, Retry, type Transaction } from './index.js';
import { record } from './testing-doubles/record.js';

const Counted = defineEvent({
  type: 'order.counted',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.key,
  schema: z.object({ key: z.string(), number: z.number(), fails: z.boolean().optional() }),
});

const TOPIC = 'outbox.event.order';
const LIMITS = { statement_timeout: 50_000, lock_timeout: 45_000, idle_in_transaction_session_timeout: 55_000 };
const CONNECTION = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };

const failed = new Set<string>();

@Injectable()
class Counting {
  @HandleEvent(Counted)
  async count({ payload }: ReceivedEvent<typeof Counted>, tx: Transaction): Promise<void> {
    const name = `${payload.key}/${payload.number}`;
    if (payload.fails === true && !failed.has(name)) {
      failed.add(name);
      throw new Retry({ afterMs: 300, reason: 'not yet' });
    }
    await tx.query('insert into counted (key, number) values ($1, $2)', [payload.key, payload.number]);
  }
}

class DatabaseModule {
  readonly name = 'database';
}

describe('a consumer on SQS', () => {
  let sqs: LocalSqs;
  let proxy: HttpFaultProxy;
  let sink: SinkPort;
  let topic: SinkTopic;
  let queue: string;
  let database: TestDatabase;
  let observer: pg.Client;
  let positions = 0;
  const members: { readonly application: INestApplicationContext; readonly dataSource: DataSource }[] = [];

  beforeAll(async () => {
    sqs = await LocalSqs.start();
    proxy = await HttpFaultProxy.start({ port: sqs.port });
  });

  afterAll(async () => {
    await proxy.stop();
    await sqs.stop();
  });

  beforeEach(async () => {
    database = await createTestDatabase();
    observer = await database.connect();
    await observer.query('create table counted (sequence bigserial, key text, number integer)');
    queue = `${uniqueName('orders')}.fifo`;
    sink = createSqsSink({ connection: CONNECTION, queues: sqs.createQueue(queue) });
    await sink.start();
    topic = await sink.openTopic(TOPIC);
  });

  afterEach(async () => {
    proxy.clear();
    await Promise.all(members.splice(0).map(leave));
    await sink.stop();
    await observer.end();
    await database.drop();
  });

  async function publish(key: string, number: number, fails = false): Promise<void> {
    positions++;
    const made = record({
      key,
      value: { key, number, fails },
      headers: { eventType: 'order.counted', 'millrace-position': String(positions), 'millrace-low': '0' },
    });
    const headers = [...made.headers].map(([name, bytes]) => [Buffer.from(name), bytes] as const);
    const value = made.value ?? Buffer.alloc(0);
    await sink.send(topic.laneOf(Buffer.from(key)), [{ key: Buffer.from(key), value, headers }]);
  }

  async function join(): Promise<(typeof members)[number]> {
    const dataSource = await new DataSource({ type: 'postgres', url: database.url, extra: LIMITS }).initialize();
    const module: DynamicModule = {
      module: DatabaseModule,
      global: true,
      providers: [{ provide: DataSource, useValue: dataSource }],
      exports: [DataSource],
    };
    const testing = await Test.createTestingModule({
      imports: [
        module,
        InboxModule.forRoot({
          consumer: 'counting',
          database: DataSource,
          subscribe: ({ topics }) =>
            createSqsSubscription({
              connection: CONNECTION,
              queues: sqs.urlOf(queue, proxy.endpoint),
              topics,
              waitSeconds: 1,
              visibilitySeconds: 3,
            }),
        }),
      ],
      providers: [Counting],
    }).compile();
    testing.useLogger(false);
    const member = { application: await testing.init(), dataSource };
    members.push(member);
    return member;
  }

  async function leave({ application, dataSource }: (typeof members)[number]): Promise<void> {
    await application.close();
    await dataSource.destroy();
  }

  async function numbersByKey(count: number): Promise<Readonly<Record<string, readonly number[]>>> {
    const { rows } = await until(
      () => observer.query<{ key: string; number: number }>('select key, number from counted order by sequence'),
      (found) => found.rows.length >= count,
      `${count} events to be applied`,
    );
    const found: Record<string, number[]> = {};
    for (const { key, number } of rows) {
      (found[key] ??= []).push(number);
    }
    return found;
  }

  async function emptied(): Promise<void> {
    await until(
      () => Promise.resolve(sqs.contentOf(queue)),
      ({ ready, inFlight }) => ready.length + inFlight === 0,
      'the queue to be empty',
    );
  }

  it('applies every event once and in order per key while members come and go and requests fail', async () => {
    const keys = ['a', 'b', 'c', 'd', 'e'];
    let requests = 0;
    proxy.set(({ action }) => {
      requests++;
      const isTurn = requests % 7 === 0;
      return isTurn && action === 'DeleteMessageBatch'
        ? { kind: 'lose_reply' }
        : isTurn && action === 'ReceiveMessage'
          ? { kind: 'answer', status: 503, code: 'ServiceUnavailable' }
          : { kind: 'pass' };
    });
    const first = await join();
    const published = (async () => {
      for (let round = 0; round < 12; round++) {
        for (const key of keys) {
          await publish(key, round);
        }
      }
    })();
    await numbersByKey(10);
    await join();
    await published;
    members.splice(members.indexOf(first), 1);
    await leave(first);

    const numbers = await numbersByKey(60);

    await emptied();
    const rounds = Array.from({ length: 12 }, (_, round) => round);
    expect(numbers).toEqual(Object.fromEntries(keys.map((key) => [key, rounds])));
  });

  it('finds a message that came twice, because its deletion was lost with the process', async () => {
    proxy.set(({ action }) => (action === 'DeleteMessageBatch' ? { kind: 'cut' } : { kind: 'pass' }));
    const first = await join();
    await publish('a', 1);
    await publish('a', 2);
    await numbersByKey(1);
    members.splice(members.indexOf(first), 1);
    await leave(first);
    proxy.clear();

    await join();

    expect(await numbersByKey(2)).toEqual({ a: [1, 2] });
    await emptied();
  });

  it('takes an event that fails, and those behind it, off the queue, and applies them in order', async () => {
    await publish('a', 1, true);
    await publish('a', 2);
    await publish('a', 3);
    await publish('b', 1);
    await join();
    await emptied();
    expect(await numbersByKey(4)).toEqual({ b: [1], a: [1, 2, 3] });
  });

  it('keeps claims for longer than a message can come again, and no progress', async () => {
    await join();
    await publish('a', 1);
    await numbersByKey(1);
    await emptied();
    const { rows } = await observer.query(
      `select floor_id, kept_until > now() + interval '29 days' as is_kept,
         (select count(*)::integer from millrace.inbox_partition) as places from millrace.inbox`,
    );
    expect(rows).toEqual([{ floor_id: null, is_kept: true, places: 0 }]);
  });
});
