import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { type SubscriptionEvent } from '../kafka/subscription-events.js';
import { type SinkPort } from '../sink-port.js';
import { type SubscriptionPort } from '../subscription-port.js';
import { ChangeSignal } from '../testing/change-signal.js';
import { commitAll, type ReceiverBehaviour, RecordingListener } from '../testing/recording-listener.js';
import { relayRecord } from '../testing/relay-record.js';
import { type PostgresSubscriptionOptions } from './postgres-config.js';
import { createPostgresSink } from './postgres-sink.js';
import { createPostgresSubscription } from './postgres-subscription.js';

const TOPIC = 'outbox.event.order';

interface Member {
  readonly subscription: SubscriptionPort;
  readonly listener: RecordingListener;
  readonly signal: ChangeSignal;
  readonly events: SubscriptionEvent[];
}

describe('the Postgres subscription', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let sink: SinkPort;
  const subscriptions: SubscriptionPort[] = [];

  beforeEach(async () => {
    database = await createTestDatabase();
    client = await database.connect();
    sink = createPostgresSink({ databaseUrl: database.url, partitions: 2, removeIntervalMs: 3_600_000 });
    await sink.start();
  });

  afterEach(async () => {
    await Promise.all(subscriptions.splice(0).map((subscription) => subscription.stop()));
    await sink.stop();
    await client.end();
    await database.drop();
  });

  async function join(
    options: Partial<PostgresSubscriptionOptions> = {},
    behaviour: ReceiverBehaviour = {},
  ): Promise<Member> {
    const signal = new ChangeSignal();
    const events: SubscriptionEvent[] = [];
    const subscription = createPostgresSubscription({
      databaseUrl: database.url,
      consumer: 'stock',
      topics: [TOPIC],
      leaseMs: 9_000,
      beatMs: 50,
      pollMs: 10,
      commitIntervalMs: 20,
      onEvent: (event) => {
        events.push(event);
        signal.changed();
      },
      ...options,
    });
    subscriptions.push(subscription);
    const listener = new RecordingListener(signal, behaviour);
    await subscription.start(listener);
    return { subscription, listener, signal, events };
  }

  /** A role with the rights of a consumer. */
  async function consumerLogin(): Promise<{ readonly login: string; readonly url: string }> {
    const login = `login_${database.name}`;
    await client.query(`create role ${login} login password 'x'; grant millrace_consumer to ${login}`);
    const url = Object.assign(new URL(database.url), { username: login, password: 'x' }).toString();
    return { login, url };
  }

  /** Sends the events at these positions to one partition. */
  async function send(partition: number, ...positions: readonly number[]): Promise<void> {
    const { lanes } = await sink.openTopic(TOPIC);
    const lane = lanes[partition];
    if (lane !== undefined) {
      const records = positions.map((position) => relayRecord(position));
      await sink.send(lane, records);
    }
  }

  async function places(consumer = 'stock'): Promise<readonly (string | null)[]> {
    const { rows } = await client.query<{ at: string | null }>(
      'select next_offset::text as at from millrace.delivery_place where consumer = $1 order by partition_id',
      [consumer],
    );
    return rows.map(({ at }) => at);
  }

  async function placesAt(expected: readonly (string | null)[], consumer?: string): Promise<void> {
    await until(
      () => places(consumer),
      (at) => String(at) === String(expected),
      `places ${String(expected)}`,
    );
  }

  it('delivers in the order of the offsets, with headers, from the beginning', async () => {
    await send(0, 1, 2);
    const { listener, signal, subscription } = await join();
    await signal.until('two records', () => listener.deliveries.length === 2);
    await send(0, 3);
    await send(1, 4);
    await signal.until('four records', () => listener.deliveries.length === 4);

    expect(listener.valuesOf(0)).toEqual(['1', '2', '3']);
    expect(listener.valuesOf(1)).toEqual(['4']);
    expect(listener.deliveries.map(({ headers }) => String(headers.get('millrace-route')))).toContain('orders');
    expect(listener.chunks[0]?.chunk).toMatchObject({ firstOffset: 0n, nextOffset: 2n });
    expect(subscription.status()).toEqual({ kind: 'running', partitions: 2, missingTopics: [] });
  });

  it('goes on from what was committed, in another process as well', async () => {
    await send(0, 1, 2);
    const first = await join();
    await first.signal.until('two records', () => first.listener.deliveries.length === 2);
    await first.subscription.stop();
    expect(await places()).toEqual(['2', null]);
    await send(0, 3);

    const second = await join();
    await second.signal.until('the third record', () => second.listener.deliveries.length === 1);
    expect(second.listener.valuesOf(0)).toEqual(['3']);
    expect(second.listener.opened.map(({ committedOffset }) => committedOffset)).toEqual([2n, null]);
  });

  it('delivers again what was not committed', async () => {
    await send(0, 1, 2);
    const receive = (): Promise<void> => Promise.resolve();
    const first = await join({}, { receive });
    await first.signal.until('two records', () => first.listener.deliveries.length === 2);
    await first.subscription.stop();

    const second = await join();
    await second.signal.until('them again', () => second.listener.deliveries.length === 2);
  });

  it('begins where a receiver says that it is, when that lies before what was committed', async () => {
    await send(0, 1, 2, 3);
    const first = await join();
    await first.signal.until('three records', () => first.listener.deliveries.length === 3);
    await first.subscription.stop();

    const signal = new ChangeSignal();
    const listener = new RecordingListener(signal);
    const subscription = createPostgresSubscription({ databaseUrl: database.url, consumer: 'stock', topics: [TOPIC] });
    subscriptions.push(subscription);
    await subscription.start({
      open: async (partition) => Object.assign(await listener.open(partition), { startOffset: 1n }),
    });
    await signal.until('the last two again', () => listener.deliveries.length === 2);
    expect(listener.valuesOf(0)).toEqual(['2', '3']);
  });

  it('lets consumers read beside each other, each from its own place', async () => {
    await send(0, 1);
    const both = [await join(), await join({ consumer: 'payment' })];

    for (const { listener, signal } of both) {
      await signal.until('the record', () => listener.deliveries.length === 1);
    }
    await placesAt(['1', null]);
    await placesAt(['1', null], 'payment');
  });

  it('deals the partitions among its members, and each partition to one at a time', async () => {
    await send(0, 1);
    const first = await join();
    await first.signal.until('both partitions', () => first.listener.owned.length === 2);
    const second = await join();
    await second.signal.until('a partition of the second', () => second.listener.owned.length === 1);
    expect(first.listener.owned).toHaveLength(1);
    expect(first.events).toContainEqual({ kind: 'revoked', partitions: [expect.anything()], isDrained: true });

    await second.subscription.stop();
    await first.signal.until('both partitions again', () => first.listener.owned.length === 2);
  });

  it('closes a receiver before another member gets its partition, however long that takes', async () => {
    await send(0, 1);
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const first = await join({}, { close: () => gate });
    await first.signal.until('both partitions', () => first.listener.owned.length === 2);
    const second = await join();
    await second.signal.until('a sign of life', () => second.events.some(({ kind }) => kind === 'joined'));
    expect(second.listener.opened).toEqual([]);
    open();

    await second.signal.until('a partition of the second', () => second.listener.owned.length === 1);
  });

  it('takes over from a member that was killed when its lease is over', async () => {
    await send(0, 1);
    const member = '00000000-0000-7000-8000-000000000000';
    await client.query(`insert into millrace.delivery_member values ('stock', $1, now() + interval '1 second')`, [
      member,
    ]);
    await client.query(
      `insert into millrace.delivery_place select 'stock', partition_id, null, $1, now() + interval '1 second'
       from millrace.delivery_partition`,
      [member],
    );

    const { listener, signal } = await join();
    await signal.until('the record', () => listener.deliveries.length === 1);
  });

  it('waits for a topic that does not exist yet, and says so', async () => {
    const { listener, signal, subscription, events } = await join();
    await signal.until('that', () => events.some(({ kind }) => kind === 'topic_missing'));
    expect(subscription.status()).toMatchObject({ missingTopics: [TOPIC] });
    await send(0, 1);

    await signal.until('the record', () => listener.deliveries.length === 1);
    expect(events).toContainEqual({ kind: 'topic_appeared', topic: TOPIC });
  });

  it('cuts chunks by number and by bytes, and one record is never too large', async () => {
    const { lanes } = await sink.openTopic(TOPIC);
    const [lane] = lanes;
    if (lane !== undefined) {
      const values = ['x'.repeat(5_000), 'a', 'b', 'c'];
      await sink.send(
        lane,
        values.map((value, index) => relayRecord(index + 1, { value })),
      );
    }
    const { listener, signal } = await join({ chunkBytesMax: 1_024, chunkRecordsMax: 2 });
    await signal.until('four records', () => listener.deliveries.length === 4);

    expect(listener.chunks.map(({ chunk }) => chunk.deliveries.length)).toEqual([1, 2, 1]);
  });

  it('gives a receiver nothing while it is busy, and the other partitions all that comes', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const receive: ReceiverBehaviour['receive'] = async (deliveries, partition) => {
      await (partition.partition === 0 ? gate : undefined);
      await commitAll(deliveries, partition);
    };
    await send(0, 1);
    const { listener, signal } = await join({}, { receive });
    await signal.until('the first record', () => listener.deliveries.length === 1);
    await send(0, 2);
    await send(1, 3);
    await signal.until('the record of the other partition', () => listener.valuesOf(1).length === 1);
    expect(listener.valuesOf(0)).toEqual(['1']);
    open();

    await signal.until('the second record', () => listener.valuesOf(0).length === 2);
  });

  it('is built anew when a receiver fails, and delivers what was not committed again', async () => {
    await send(0, 1);
    let failures = 1;
    const receive: ReceiverBehaviour['receive'] = async (deliveries, partition) => {
      if (failures-- > 0) {
        throw new Error('the handler is broken');
      }
      await commitAll(deliveries, partition);
    };
    const { listener, signal, events } = await join({}, { receive });

    await signal.until('the record twice', () => listener.deliveries.length === 2);
    expect(events).toContainEqual(expect.objectContaining({ kind: 'rebuilt', attempt: 1 }));
    await placesAt(['1', null]);
  });

  it('goes on when its connections were cut, and is built anew while the server refuses it', async () => {
    await send(0, 1);
    const { login, url } = await consumerLogin();
    const { listener, signal, subscription, events } = await join({ databaseUrl: url });
    await signal.until('the record', () => listener.deliveries.length === 1);
    await placesAt(['1', null]);
    await client.query(`alter role ${login} nologin`);
    await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, [login]);
    await signal.until('that it is built anew', () => events.some(({ kind }) => kind === 'rebuilt'));
    expect(subscription.status()).toMatchObject({ kind: 'rebuilding' });
    expect(listener.owned).toEqual([]);
    await client.query(`alter role ${login} login`);
    await send(0, 2);

    await signal.until('the next record', () => listener.deliveries.length === 2);
    expect(listener.valuesOf(0)).toEqual(['1', '2']);
    await subscription.stop();
    await client.query(`drop role ${login}`);
  });

  it('tells of records that were removed before it read them, and goes on at the earliest', async () => {
    await send(0, 1, 2, 3);
    const first = await join();
    await first.signal.until('three records', () => first.listener.deliveries.length === 3);
    await first.subscription.stop();
    await send(0, 4, 5);
    await client.query('delete from millrace.delivery where record_offset < 4');
    await client.query('update millrace.delivery_partition set first_offset = 4 where next_offset > 0');

    const second = await join();
    await second.signal.until('the last record', () => second.listener.deliveries.length === 1);
    const hole = { kind: 'out_of_range', topic: TOPIC, partition: 0, expected: 3n, first: 4n };
    expect(second.events).toContainEqual(hole);
    expect(second.listener.chunks[0]?.chunk).toMatchObject({ firstOffset: 4n, nextOffset: 5n });
  });

  it('trusts nothing that it remembers when its connection broke while nothing was asked', async () => {
    await send(0, 1, 2, 3);
    const { listener, signal } = await join({ pollMs: 1_500, beatMs: 2_500, commitIntervalMs: 10 });
    await signal.until('three records', () => listener.deliveries.length === 3);
    await placesAt(['3', null]);
    // a standby was promoted that has not got the last commit: its log grows past the old end before anybody looks
    await client.query(
      `delete from millrace.delivery where record_offset = 2;
       delete from millrace.delivery_settled where position = 3;
       update millrace.delivery_partition set next_offset = 2 where next_offset = 3;
       update millrace.delivery_place set next_offset = 2 where next_offset = 3;
       select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'stock subscription' and state = 'idle'`,
    );
    const other = createPostgresSink({ databaseUrl: database.url, partitions: 2, removeIntervalMs: 3_600_000 });
    await other.start();
    const [lane] = (await other.openTopic(TOPIC)).lanes;
    await (lane && other.send(lane, [relayRecord(4), relayRecord(5)]));
    await other.stop();

    await signal.until('both new records', () => listener.deliveries.length === 5);
    expect(listener.deliveries.map(({ value }) => String(value))).toEqual(['1', '2', '3', '4', '5']);
  });

  it('commits nothing any more for a partition that another member has taken', async () => {
    await send(0, 1);
    const { listener, signal, events } = await join({}, { receive: () => Promise.resolve() });
    await signal.until('the record', () => listener.deliveries.length === 1);
    const late = listener.opened[0];
    await client.query(
      `update millrace.delivery_place set member = gen_random_uuid(), expires = now() + interval '1 hour'`,
    );
    await signal.until('that all is handed back', () => listener.owned.length === 0);
    late?.commit(1n);
    await signal.until('that it is told', () => events.some(({ kind }) => kind === 'revoked'));

    expect(await places()).toEqual([null, null]);
  });

  it('works with the rights of a consumer, and of nothing else', async () => {
    await send(0, 1);
    const { login, url } = await consumerLogin();
    const { listener, signal, subscription } = await join({ databaseUrl: url });

    await signal.until('the record', () => listener.deliveries.length === 1);
    await subscription.stop();
    expect(await places()).toEqual(['1', null]);
    await client.query(`drop role ${login}`);
  });

  it('is stopped before it was started, and again after it was stopped', async () => {
    const subscription = createPostgresSubscription({ databaseUrl: database.url, consumer: 'c', topics: ['t'] });
    await subscription.stop();
    await subscription.stop();

    expect(subscription.status()).toEqual({ kind: 'stopped' });
  });

  it.each([
    ['databaseUrl', { databaseUrl: 'nothing' }],
    ['consumer', { consumer: '' }],
    ['topics', { topics: [] }],
    ['leaseMs', { leaseMs: 10 }],
    ['beatMs', { beatMs: 4_000 }],
  ])('refuses options that make no sense: %s', (name, options) => {
    const usual = { databaseUrl: 'postgres://h/d', consumer: 'c', topics: ['t'], leaseMs: 9_000 };

    expect(() => createPostgresSubscription({ ...usual, ...options })).toThrow(
      expect.objectContaining({ code: 'configuration', message: expect.stringContaining(name) }),
    );
  });
});
