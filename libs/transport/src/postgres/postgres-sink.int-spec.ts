import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { type SinkLane, type SinkPort, type SinkRecord, type TailFrom } from '../sink-port.js';
import { type Delivery } from '../subscription-port.js';
import { relayRecord } from '../testing/relay-record.js';
import { type PostgresSinkOptions } from './postgres-config.js';
import { createPostgresSink } from './postgres-sink.js';

const TOPIC = 'outbox.event.order';

describe('the Postgres sink', () => {
  let database: TestDatabase;
  let client: pg.Client;
  const sinks: SinkPort[] = [];

  beforeEach(async () => {
    database = await createTestDatabase();
    client = await database.connect();
  });

  afterEach(async () => {
    await Promise.all(sinks.splice(0).map((sink) => sink.stop()));
    await client.end();
    await database.drop();
  });

  /** A started sink, as another relay has one, and its lane for key `k`. */
  async function opened(
    options: Partial<PostgresSinkOptions> = {},
  ): Promise<{ readonly sink: SinkPort; readonly lane: SinkLane }> {
    const sink = createPostgresSink({ databaseUrl: database.url, removeIntervalMs: 3_600_000, ...options });
    sinks.push(sink);
    await sink.start();
    const topic = await sink.openTopic(TOPIC);
    return { sink, lane: topic.laneOf(Buffer.from('k')) };
  }

  async function storedValues(): Promise<readonly string[]> {
    const { rows } = await client.query<{ value: string }>(
      `select convert_from(record_value, 'utf8') as value from millrace.delivery order by partition_id, record_offset`,
    );
    return rows.map(({ value }) => value);
  }

  async function storedTo(count: number, expected: readonly string[]): Promise<void> {
    await until(storedValues, ({ length }) => length === count, `${count} records`);
    expect(await storedValues()).toEqual(expected);
  }

  it('stores a batch in its order, at offsets that follow each other, with every byte of it', async () => {
    const { sink, lane } = await opened();
    const bytes = Buffer.from([0, 39, 92, 255]);
    const odd: SinkRecord = { key: bytes, value: bytes, headers: [[bytes, bytes]] };

    expect(await sink.send(lane, [relayRecord(1), relayRecord(2)])).toEqual({ baseOffset: 0n });
    expect(await sink.send(lane, [odd])).toEqual({ baseOffset: 2n });

    const { rows } = await client.query(
      `select record_offset::integer as offset, record_key, record_value from millrace.delivery order by record_offset`,
    );
    expect(rows).toEqual([
      { offset: 0, record_key: Buffer.from('k'), record_value: Buffer.from('1') },
      { offset: 1, record_key: Buffer.from('k'), record_value: Buffer.from('2') },
      { offset: 2, record_key: bytes, record_value: bytes },
    ]);
  });

  it('places keys as Kafka does, and keeps the partitions that a topic was made with', async () => {
    const { sink } = await opened({ partitions: 3 });
    const { sink: other } = await opened({ partitions: 8 });

    expect((await other.openTopic(TOPIC)).lanes).toHaveLength(3);
    expect((await sink.openTopic('another')).lanes.map(({ id }) => id)).toEqual([
      'another/0',
      'another/1',
      'another/2',
    ]);
  });

  it('stores what comes again once, whoever sends it and however it is cut', async () => {
    const first = await opened();
    const second = await opened();
    const records = [1, 2, 3, 4, 5].map((position) => relayRecord(position));

    expect(await first.sink.send(first.lane, records.slice(0, 3))).toEqual({ baseOffset: 0n });
    expect(await second.sink.send(second.lane, records.slice(1))).toEqual({ baseOffset: 1n });
    expect(await first.sink.send(first.lane, records)).toEqual({ baseOffset: 0n });

    expect(await storedValues()).toEqual(['1', '2', '3', '4', '5']);
  });

  it('stores an event once that stands in one batch twice', async () => {
    const { sink, lane } = await opened();

    expect(await sink.send(lane, [relayRecord(1), relayRecord(2), relayRecord(1)])).toEqual({ baseOffset: -1n });
    expect(await storedValues()).toEqual(['1', '2']);
  });

  it('knows positions of any size', async () => {
    const { sink, lane } = await opened();
    const last = relayRecord(0, { value: 'last', headers: { 'millrace-position': '9223372036854775807' } });
    await sink.send(lane, [last]);
    await sink.send(lane, [last]);

    expect(await storedValues()).toEqual(['last']);
  });

  it('stores once what two send at the same time', async () => {
    const both = [await opened(), await opened()];
    const records = Array.from({ length: 500 }, (_, index) => relayRecord(index + 1));

    await Promise.all(both.map(({ sink, lane }) => sink.send(lane, records)));

    expect(await storedValues()).toEqual(records.map(({ value }) => value.toString()));
  });

  it('lets two routes write to one partition side by side', async () => {
    const both = [await opened(), await opened()];

    await Promise.all(
      both.map(async ({ sink, lane }, index) => {
        for (let position = 1; position <= 50; position += 1) {
          await sink.send(lane, [relayRecord(position, { route: `route-${index}` })]);
        }
      }),
    );

    const { rows } = await client.query(
      'select count(*)::integer as count, max(record_offset)::integer as last from millrace.delivery',
    );
    expect(rows).toEqual([{ count: 100, last: 99 }]);
  });

  it('knows what is at or below the floor when it has forgotten the positions', async () => {
    const { sink, lane } = await opened();
    await sink.send(lane, [relayRecord(1), relayRecord(2)]);
    await sink.send(lane, [relayRecord(3, { low: 2 })]);

    const { rows } = await client.query('select position::integer from millrace.delivery_settled');
    expect(rows).toEqual([{ position: 3 }]);
    await sink.send(lane, [relayRecord(1), relayRecord(2), relayRecord(3)]);
    expect(await storedValues()).toEqual(['1', '2', '3']);
  });

  it('looks at nothing that it has forgotten before, however old a snapshot is open', async () => {
    const { sink, lane } = await opened();
    const observer = await database.connect();
    await observer.query('begin isolation level repeatable read');
    await observer.query('select from millrace.delivery_settled');
    const batches = 40;
    for (let batch = 0; batch < batches; batch += 1) {
      const low = batch * 100;
      const positions = Array.from({ length: 100 }, (_, index) => low + index + 1);
      await sink.send(
        lane,
        positions.map((position) => relayRecord(position, { low })),
      );
    }

    const looked = async (): Promise<number> => {
      await client.query('select pg_stat_force_next_flush()');
      const { rows } = await client.query<{ looked: number }>(
        `select sum(idx_tup_read)::integer as looked from pg_stat_user_indexes where relname = 'delivery_settled'`,
      );
      return rows[0]?.looked ?? 0;
    };
    await client.query('set enable_seqscan = off');
    const before = await looked();
    await client.query(`select millrace.deliver($1, $2, 'shop', 'orders', 1, $3, '{}', '{}', '{1}', '')`, [
      lane.topic,
      lane.partition,
      batches * 100,
    ]);
    expect((await looked()) - before).toBeLessThan(300);
    await observer.end();
  });

  it('forgets a bounded number of positions with a batch, when its floor has stood still for long', async () => {
    const { sink, lane } = await opened();
    for (let batch = 0; batch < 12; batch += 1) {
      const positions = Array.from({ length: 1_000 }, (_, index) => batch * 1_000 + index + 1);
      await sink.send(
        lane,
        positions.map((position) => relayRecord(position)),
      );
    }
    const known = async (): Promise<unknown> =>
      (
        await client.query(
          'select floor::integer, (select count(*)::integer from millrace.delivery_settled) as positions from millrace.delivery_stream',
        )
      ).rows[0];

    await sink.send(lane, [relayRecord(12_001, { low: 12_000 })]);
    expect(await known()).toEqual({ floor: 12_000, positions: 7_001 });
    await sink.send(lane, [relayRecord(3), relayRecord(11_000), relayRecord(12_002, { low: 12_000 })]);
    expect(await known()).toEqual({ floor: 12_000, positions: 2_002 });
    await sink.send(lane, [relayRecord(12_003, { low: 12_000 })]);
    expect(await known()).toEqual({ floor: 12_000, positions: 3 });
    expect(await storedValues()).toHaveLength(12_003);
  });

  it('takes a late event with a position below others, once', async () => {
    const { sink, lane } = await opened();
    await sink.send(lane, [relayRecord(9, { low: 4 })]);
    await sink.send(lane, [relayRecord(5, { low: 4 })]);
    await sink.send(lane, [relayRecord(5, { low: 4 })]);

    expect(await storedValues()).toEqual(['9', '5']);
  });

  it('keeps routes, and sources, apart', async () => {
    const { sink, lane } = await opened();
    await sink.send(lane, [relayRecord(1)]);
    await sink.send(lane, [relayRecord(1, { route: 'audit', value: 'audit' })]);
    await sink.send(lane, [relayRecord(1, { source: 'stock', value: 'stock' })]);

    expect(await storedValues()).toEqual(['1', 'audit', 'stock']);
  });

  it('takes the shards of a route as one', async () => {
    const { sink, lane } = await opened();
    await sink.send(lane, [relayRecord(1, { route: 'orders/2' })]);
    await sink.send(lane, [relayRecord(1, { epoch: 2 }), relayRecord(2, { epoch: 2 })]);

    expect(await storedValues()).toEqual(['1', '2']);
  });

  it('refuses a relay that has lost the route, and stores nothing of it', async () => {
    const zombie = await opened();
    const owner = await opened();
    await owner.sink.send(owner.lane, [relayRecord(1, { epoch: 2 })]);

    await expect(zombie.sink.send(zombie.lane, [relayRecord(2, { epoch: 1 })])).rejects.toMatchObject({
      code: 'fenced',
      outcome: 'unknown',
    });
    expect(await storedValues()).toEqual(['1']);
  });

  it('stores a replay as often as it comes, and a released event once below the floor', async () => {
    const { sink, lane } = await opened();
    await sink.send(lane, [relayRecord(4, { low: 3 })]);
    const replayed = relayRecord(1, { low: 3, value: 'replayed', headers: { 'millrace-replay': 'r' } });
    const released = relayRecord(2, { low: 3, value: 'released', headers: { 'millrace-unparked': 'true' } });

    for (const record of [replayed, released, replayed, released]) {
      await sink.send(lane, [record]);
    }
    // the floor passes over it, and what came behind it is still known
    await sink.send(lane, [relayRecord(9, { low: 8 })]);
    await sink.send(lane, [released]);

    expect(await storedValues()).toEqual(['4', 'replayed', 'released', 'replayed', '9']);
  });

  it('lets a send that hangs be sent again over another connection: both end, and it is stored once', async () => {
    const { sink, lane } = await opened();
    await client.query('begin');
    await client.query('select from millrace.delivery_partition for update');
    const hanging = sink.send(lane, [relayRecord(1)]);
    const other = await opened();
    const again = other.sink.send(other.lane, [relayRecord(1)]);
    await client.query('commit');

    await Promise.all([hanging, again]);
    expect(await storedValues()).toEqual(['1']);
  });

  it('gives no promise for a send whose connection was cut, and stores it once when it is sent again', async () => {
    const { sink, lane } = await opened();
    await client.query('begin');
    await client.query('select from millrace.delivery_partition for update');
    const cut = sink.send(lane, [relayRecord(1)]);
    const isWaiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    const observer = await database.connect();
    await until(
      async () => (await observer.query(isWaiting)).rowCount,
      (waiting) => waiting === 1,
      'the send to wait for its partition',
    );
    await Promise.all([
      expect(cut).rejects.toMatchObject({ code: 'unavailable', outcome: 'unknown' }),
      observer.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      ),
    ]);
    await client.query('commit');
    await observer.end();

    await sink.send(lane, [relayRecord(1)]);
    expect(await storedValues()).toEqual(['1']);
  });

  it('removes what all consumers have read, and what nobody has read after a longer time', async () => {
    const { sink, lane } = await opened({ keepReadMs: 0, removeIntervalMs: 10 });
    await sink.send(
      lane,
      [1, 2, 3].map((position) => relayRecord(position)),
    );
    await client.query(
      `insert into millrace.delivery_place (consumer, partition_id, next_offset)
       select c.consumer, p.partition_id, c.at from millrace.delivery_partition p, (values ('a', 2), ('b', 1)) c(consumer, at)`,
    );
    await storedTo(2, ['2', '3']);

    await client.query(`update millrace.delivery set delivered_at = now() - interval '8 days' where record_offset = 1`);
    await storedTo(1, ['3']);
    await sink.send(
      lane,
      [1, 2, 3, 4].map((position) => relayRecord(position)),
    );
    await storedTo(2, ['3', '4']);
  });

  it('removes a bounded number of records at a time, of the partition with the oldest ones first', async () => {
    const { sink } = await opened({ partitions: 3 });
    const { lanes } = await sink.openTopic('many');
    for (const [index, lane] of lanes.entries()) {
      const positions = Array.from({ length: 10 }, (_, position) => index * 10 + position + 1);
      await sink.send(
        lane,
        positions.map((position) => relayRecord(position)),
      );
    }
    await client.query(
      `update millrace.delivery_partition set removed_at = now() - partition * interval '1 minute' where topic = 'many'`,
    );
    const remove = async (): Promise<unknown> =>
      (await client.query('select millrace.remove_delivered(0, 0, 15)::integer as removed')).rows[0];
    const left = async (): Promise<unknown> =>
      (
        await client.query(
          `select p.partition, count(*)::integer as records from millrace.delivery_partition p
           join millrace.delivery d using (partition_id) group by 1 order by 1`,
        )
      ).rows;

    expect(await remove()).toEqual({ removed: 15 });
    expect(await left()).toEqual([
      { partition: 0, records: 10 },
      { partition: 1, records: 5 },
    ]);
    expect(await remove()).toEqual({ removed: 15 });
    expect(await left()).toEqual([]);
  });

  it('keeps what it knows of a released event for its time, and no longer', async () => {
    const { sink, lane } = await opened();
    const released = relayRecord(2, { low: 3, headers: { 'millrace-unparked': 'true' } });
    await sink.send(lane, [released, relayRecord(4, { low: 3 })]);
    const settled = async (): Promise<unknown> => {
      await client.query('select millrace.remove_delivered(3600000, 3600000, 10)');
      return (await client.query('select position::integer from millrace.delivery_settled order by 1')).rows;
    };

    expect(await settled()).toEqual([{ position: 2 }, { position: 4 }]);
    await client.query(
      `update millrace.delivery_settled set kept_until = now() - interval '1 second' where position = 2`,
    );
    expect(await settled()).toEqual([{ position: 4 }]);
  });

  it('reads back what it has taken since, and says when some of that is gone', async () => {
    const { sink, lane } = await opened();
    await sink.send(lane, [relayRecord(1), relayRecord(2)]);
    await client.query(`update millrace.delivery set delivered_at = now() - interval '1 hour' where record_offset = 0`);
    const found: Delivery[] = [];
    const readBack = async () =>
      sink.readBack?.(
        { isWanted: (topic) => topic === TOPIC, sinceMs: Date.now() - 60_000, signal: new AbortController().signal },
        (records) => Promise.resolve(void found.push(...records)),
      );

    expect(await readBack()).toEqual({ kind: 'complete' });
    expect(found.map(({ value, headers }) => [String(value), String(headers.get('millrace-position'))])).toEqual([
      ['2', '2'],
    ]);
    await client.query('update millrace.delivery_partition set removed_at = now() where next_offset > 0');
    expect(await readBack()).toMatchObject({ kind: 'incomplete' });
  });

  it('reads the tails of lanes, and tells those that were cut or made anew', async () => {
    const { sink, lane } = await opened();
    await sink.send(lane, [relayRecord(1), relayRecord(2), relayRecord(3)]);
    const { rows } = await client.query<{ id: string }>('select topic_id::text as id from millrace.delivery_topic');
    const topicId = rows[0]?.id ?? '';
    const { topic, partition } = lane;
    const tail = async (from: TailFrom | null): Promise<readonly unknown[]> => {
      const found: unknown[] = [];
      await sink.readTails?.({
        lanes: [{ topic, partition, from }],
        signal: new AbortController().signal,
        take: (records) => found.push(...records.map(({ value }) => String(value))),
        ended: (end) => found.push(end),
      });
      return found;
    };
    const end = { topic, partition, topicId, end: 3n };

    expect(await tail(null)).toEqual([{ ...end, kind: 'read', records: 0, unreadable: 0 }]);
    expect(await tail({ offset: 1n, topicId, sinceMs: 0 })).toEqual([
      '2',
      '3',
      { ...end, kind: 'read', records: 2, unreadable: 0 },
    ]);
    expect(await tail({ offset: 0n, topicId: null, sinceMs: 0, to: 1n })).toEqual([
      '1',
      { ...end, kind: 'read', records: 1, unreadable: 0 },
    ]);
    expect(await tail({ offset: 4n, topicId, sinceMs: 0 })).toEqual([{ ...end, kind: 'cut' }]);
    expect(await tail({ offset: 0n, topicId: 'another', sinceMs: 0 })).toEqual([
      { kind: 'replaced', topic, partition, topicId },
    ]);
  });

  it('says at each send that its database was set back while it ran, until the topic is opened again', async () => {
    const { sink, lane } = await opened();
    await sink.send(
      lane,
      [1, 2, 3, 4].map((position) => relayRecord(position)),
    );
    await client.query('delete from millrace.delivery where record_offset = 3');
    await client.query('delete from millrace.delivery_settled where position = 4');
    await client.query('update millrace.delivery_partition set next_offset = 3 where next_offset = 4');

    const refused = { code: 'receipt_invalid', message: expect.stringContaining('ends at 3 and had ended at 4') };
    await expect(sink.send(lane, [relayRecord(5), relayRecord(6)])).rejects.toMatchObject(refused);
    // by now the log is longer than it was, and still without what it has lost
    await expect(sink.send(lane, [relayRecord(5), relayRecord(6)])).rejects.toMatchObject(refused);
    await sink.openTopic(TOPIC);
    expect(await sink.send(lane, [relayRecord(5), relayRecord(6)])).toEqual({ baseOffset: 3n });
  });

  it('delivers where the database asks for another isolation than it needs', async () => {
    await client.query(`alter database ${database.name} set default_transaction_isolation = 'serializable'`);
    const { sink, lane } = await opened();
    await sink.send(lane, [relayRecord(1)]);

    expect(await storedValues()).toEqual(['1']);
  });

  it('says when its topic was removed behind its back', async () => {
    const { sink, lane } = await opened();
    await client.query('delete from millrace.delivery_topic');

    await expect(sink.send(lane, [relayRecord(1)])).rejects.toMatchObject({ code: 'topic_deleted' });
  });

  it('refuses what is no Buffer, as a record that it will never take', async () => {
    const { sink, lane } = await opened();
    const wrong: SinkRecord = { ...relayRecord(1) };
    Reflect.set(wrong, 'value', 'text');

    await expect(sink.send(lane, [wrong])).rejects.toMatchObject({ code: 'record_invalid', outcome: 'refused' });
  });

  it('refuses what is too large before anything is sent', async () => {
    const { sink, lane } = await opened({ recordBytesMax: 2_000 });

    await expect(sink.send(lane, [relayRecord(1, { value: 'x'.repeat(3_000) })])).rejects.toMatchObject({
      code: 'record_too_large',
      outcome: 'refused',
    });
  });

  it('names what is missing in a database without schema millrace, and goes on once it is there', async () => {
    await client.query('alter schema millrace rename to elsewhere');
    const sink = createPostgresSink({ databaseUrl: database.url });
    sinks.push(sink);
    await sink.start();

    await expect(sink.openTopic(TOPIC)).rejects.toMatchObject({ code: 'unavailable' });
    await client.query('alter schema elsewhere rename to millrace');
    expect((await sink.openTopic(TOPIC)).lanes).toHaveLength(6);
  });

  it('works with the rights of a relay, and of nothing else', async () => {
    const login = `login_${database.name}`;
    await client.query(`create role ${login} login password 'x'; grant millrace_relay to ${login}`);
    const url = Object.assign(new URL(database.url), { username: login, password: 'x' }).toString();
    const { sink, lane } = await opened({ databaseUrl: url, removeIntervalMs: 10 });

    await sink.send(lane, [relayRecord(1)]);
    expect(await storedValues()).toEqual(['1']);
    await sink.stop();
    await client.query(`drop role ${login}`);
  });

  it('refuses a URL that is none, without telling it', () => {
    expect(() => createPostgresSink({ databaseUrl: 'mysql://user:geheim@host/db' })).toThrow(
      expect.objectContaining({ code: 'configuration', message: expect.not.stringContaining('geheim') }),
    );
  });

  it('has a server that is away told as unavailable', async () => {
    const sink = createPostgresSink({ databaseUrl: 'postgres://postgres@127.0.0.1:1/none' });

    await expect(sink.start()).rejects.toMatchObject({ code: 'unavailable' });
    await sink.stop();
  });
});
