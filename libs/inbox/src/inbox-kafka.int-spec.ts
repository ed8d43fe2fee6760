import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { createTestDatabase, createTopic, testKafkaBrokers, type TestDatabase, uniqueName } from '@millrace/testing';
import { createKafkaSink, createKafkaSubscription, type KafkaClientName, type SinkPort } from '@millrace/transport';
import { type DynamicModule, Injectable, type INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { HandleEvent, InboxConsumer, InboxModule, type ReceivedEvent, type Transaction } from './index.js';
import { record } from './testing-doubles/record.js';

const Counted = defineEvent({
  type: 'order.counted',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.key,
  schema: z.object({ key: z.string(), number: z.number() }),
});

const PARTITIONS = 4;
const KEYS = 20;
const LIMITS = { statement_timeout: 50_000, lock_timeout: 45_000, idle_in_transaction_session_timeout: 55_000 };

@Injectable()
class Counting {
  @HandleEvent(Counted)
  async count({ payload }: ReceivedEvent<typeof Counted>, tx: Transaction): Promise<void> {
    await tx.query('insert into counted (key, number) values ($1, $2)', [payload.key, payload.number]);
  }
}

class DatabaseModule {
  readonly name = 'database';
}

interface Member {
  readonly application: INestApplicationContext;
  readonly dataSource: DataSource;
}

describe.each<[KafkaClientName, number]>([
  ['platformatic', 1],
  ['kafkajs', 50],
])('a consumer on Kafka with %s, events per transaction: %i', (client, batchSize) => {
  const brokers = testKafkaBrokers();
  let sink: SinkPort;
  let database: TestDatabase;
  let observer: pg.Client;
  let topic: string;
  let consumer: string;
  const members: Member[] = [];

  beforeAll(async () => {
    sink = createKafkaSink({ client: 'platformatic', connection: { brokers }, topics: { create: false } });
    await sink.start();
  });

  afterAll(async () => {
    await sink.stop();
  });

  beforeEach(async () => {
    database = await createTestDatabase();
    observer = await database.connect();
    await observer.query('create table counted (sequence bigserial, key text, number integer)');
    topic = uniqueName('topic');
    consumer = uniqueName('consumer');
    await createTopic({ brokers, topic, partitions: PARTITIONS });
  });

  afterEach(async () => {
    await Promise.all(members.splice(0).map(leave));
    await observer.end();
    await database.drop();
  });

  /** Every key's next event, in one batch per partition. */
  async function publishRound(round: number): Promise<void> {
    const opened = await sink.openTopic(topic);
    const events = Array.from({ length: KEYS }, (_, index) => ({ key: `key-${index}`, number: round }));
    for (const lane of opened.lanes) {
      const own = events.filter(({ key }) => opened.laneOf(Buffer.from(key)).id === lane.id);
      await sink.send(
        lane,
        own.map((payload, index) => {
          const position = String(round * KEYS + index + 1);
          const { key, value, headers } = record({
            key: payload.key,
            value: payload,
            headers: { eventType: 'order.counted', 'millrace-position': position, 'millrace-route': lane.id },
          });
          return {
            key: key ?? Buffer.alloc(0),
            value: value ?? Buffer.alloc(0),
            headers: [...headers].map(([name, bytes]) => [Buffer.from(name), bytes] as const),
          };
        }),
      );
    }
  }

  function databaseModule(dataSource: DataSource): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [{ provide: DataSource, useValue: dataSource }],
      exports: [DataSource],
    };
  }

  /** `applied` is called for each event that the member applies. */
  async function join(applied: () => void): Promise<Member> {
    const dataSource = await new DataSource({ type: 'postgres', url: database.url, extra: LIMITS }).initialize();
    const testing = await Test.createTestingModule({
      imports: [
        databaseModule(dataSource),
        InboxModule.forRoot({
          consumer,
          database: DataSource,
          batchSize,
          topicOf: () => topic,
          subscribe: ({ consumer: groupId, topics }) =>
            createKafkaSubscription({
              client,
              connection: { brokers },
              groupId,
              topics,
              sessionTimeoutMs: 30_000,
              drainMs: 5_000,
            }),
        }),
      ],
      providers: [Counting],
    }).compile();
    testing.useLogger(false);
    testing.get(InboxConsumer).observe({
      recordSettled: ({ settlement }) => {
        if (settlement === 'applied') {
          applied();
        }
      },
    });
    const member = { application: await testing.init(), dataSource };
    members.push(member);
    return member;
  }

  async function leave({ application, dataSource }: Member): Promise<void> {
    await application.close();
    await dataSource.destroy();
  }

  it('applies every event once and in order per key while members come and go', async () => {
    let applied = 0;
    let appliedBySecond = 0;
    let wake = (): void => undefined;
    const allApplied = async (): Promise<void> => {
      while (applied < rounds * KEYS) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    const count = (): void => {
      applied++;
      wake();
    };
    let rounds = 0;
    const publish = async (times: number): Promise<void> => {
      for (const end = rounds + times; rounds < end; rounds++) {
        await publishRound(rounds);
      }
    };

    const first = await join(count);
    await publish(5);
    await allApplied();
    await join(() => {
      appliedBySecond++;
      count();
    });
    // no round is waited for: the rebalance is to find work in flight
    for (let turn = 0; appliedBySecond === 0; turn++) {
      await publish(1);
      if (turn % 10 === 9) {
        await allApplied();
      }
    }
    await publish(3);
    members.splice(members.indexOf(first), 1);
    await leave(first);
    await publish(3);
    await allApplied();

    const { rows } = await observer.query<{ key: string; numbers: number[] }>(
      'select key, array_agg(number order by sequence) as numbers from counted group by key',
    );
    expect(rows).toHaveLength(KEYS);
    for (const { numbers } of rows) {
      expect(numbers).toEqual(Array.from({ length: rounds }, (_, round) => round));
    }
    const held = await observer.query('select from millrace.inbox_held');
    expect(held.rows).toEqual([]);
  }, 300_000);

  it('applies again what a database has lost that was set back while the consumer ran', async () => {
    let wake = (): void => undefined;
    let applied = 0;
    let opened = 0;
    const until = async (isTrue: () => boolean): Promise<void> => {
      while (!isTrue()) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    const { application } = await join(() => {
      applied++;
      wake();
    });
    application.get(InboxConsumer).observe({
      breakerChanged: ({ kind }) => {
        opened += Number(kind === 'open');
        wake();
      },
    });
    await publishRound(0);
    await until(() => applied === KEYS);
    await progressIs(KEYS);
    await observer.query('create table progress_before as table millrace.inbox_partition');
    await publishRound(1);
    await until(() => applied === 2 * KEYS);
    await progressIs(2 * KEYS);

    await whileNobodyMayConnect(async () => {
      await publishRound(2);
      while (opened === 0) {
        await endConnections();
        await sleep(100);
      }
      await observer.query('delete from counted where number > 0');
      await observer.query('delete from millrace.inbox where position > $1', [KEYS]);
      await observer.query(
        `update millrace.inbox_partition p set next_offset = b.next_offset
         from progress_before b where b.topic = p.topic and b.partition = p.partition`,
      );
    });
    await progressIs(3 * KEYS);
    expect(applied).toBeGreaterThanOrEqual(4 * KEYS);

    const { rows } = await observer.query<{ numbers: number[] }>(
      'select array_agg(number order by sequence) as numbers from counted group by key',
    );
    expect(rows.map(({ numbers }) => numbers)).toEqual(Array.from({ length: KEYS }, () => [0, 1, 2]));
  }, 300_000);

  /** Waits until the progress of all partitions together is so far. */
  async function progressIs(records: number): Promise<void> {
    const text = 'select coalesce(sum(next_offset), 0)::integer as sum from millrace.inbox_partition';
    for (let sum = -1; sum !== records;) {
      await sleep(20);
      ({ sum } = (await observer.query<{ sum: number }>(text)).rows[0] ?? { sum });
    }
  }

  /** Of everybody but the observer. One that is being opened at that moment is not seen. */
  async function endConnections(): Promise<void> {
    await observer.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`);
  }

  /** The database is away for everybody but the observer. */
  async function whileNobodyMayConnect(work: () => Promise<void>): Promise<void> {
    const { pathname } = new URL(database.url);
    const name = pathname.slice(1);
    const server = new pg.Client(database.url.replace(pathname, '/postgres'));
    await server.connect();
    try {
      await server.query(`alter database ${name} allow_connections false`);
      await endConnections();
      await work();
      await server.query(`alter database ${name} allow_connections true`);
    } finally {
      await server.end();
    }
  }
});
