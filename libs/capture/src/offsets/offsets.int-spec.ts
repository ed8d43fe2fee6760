import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type LedgerClaim } from '../ledger-store.js';
import { PgConnection } from '../pg-connection.js';
import { PgLedgerStore } from '../pg-ledger-store.js';
import { PgRetention } from '../retention/pg-retention.js';
import { ledgerName } from '../route-shards.js';
import { type LaneOffset, type LedgerNotes } from './lane-offset.js';

let database: TestDatabase;
let client: pg.Client;
let connections: PgConnection[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  connections = [];
});

afterEach(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await client.end();
  await database.drop();
});

function aConnection(): PgConnection {
  const connection = new PgConnection({ databaseUrl: database.url, applicationName: 'offsets' });
  connections.push(connection);
  return connection;
}

type Claimed = Extract<LedgerClaim, { kind: 'claimed' }>;

interface Owner {
  readonly store: PgLedgerStore;
  readonly claimed: Claimed;
  write(notes: LedgerNotes): Promise<unknown>;
}

async function claim(owner: string, number = 1, count = 1): Promise<Owner> {
  const store = new PgLedgerStore(aConnection());
  const shard = { of: 'r', number, count };
  const request = { route: ledgerName(shard), owner, ttlMs: 60_000, from: { kind: 'earliest' as const }, shard };
  const claimed = await store.claim(request);
  if (claimed.kind !== 'claimed') {
    throw new Error(`The route is ${claimed.kind}.`);
  }
  return { store, claimed, write: (notes) => store.save(claimed.state, [], 0, notes) };
}

function aLane(nextOffset: bigint, more: Partial<LaneOffset> = {}): LaneOffset {
  return { topic: 't', topicId: 'id-1', partition: 0, nextOffset, ageMs: 0, ...more };
}

async function stored(): Promise<unknown> {
  const { rows } = await client.query(
    'select route, topic, topic_id, partition, next_offset from millrace.ledger_offset order by topic, partition',
  );
  return rows;
}

describe('the offsets of lanes', () => {
  it('are written with the ledger, over those that were there, and found by who claims the route next', async () => {
    const first = await claim('a');
    expect(first.claimed.laneOffsets).toEqual([]);

    await first.write({ offsets: [aLane(5n), aLane(7n, { partition: 1, topicId: null })] });
    await first.write({ offsets: [aLane(9n, { topicId: 'id-2' })] });

    const { claimed } = await claim('a');
    expect(claimed.laneOffsets).toMatchObject([
      { topic: 't', topicId: 'id-2', partition: 0, nextOffset: 9n },
      { topic: 't', topicId: null, partition: 1, nextOffset: 7n },
    ]);
  });

  it('are as old as the oldest send that the ledger does not know of', async () => {
    const owner = await claim('a');
    await owner.write({ offsets: [aLane(5n, { ageMs: 3_600_000 })] });

    const { rows } = await client.query(
      `select round(extract(epoch from clock_timestamp() - at) / 60) as minutes from millrace.ledger_offset`,
    );

    expect(rows).toEqual([{ minutes: '60' }]);
  });

  it('stay what they are when the ledger has gone to another owner', async () => {
    const zombie = await claim('a');
    const owner = await claim('a');
    await owner.write({ offsets: [aLane(5n)] });

    await expect(zombie.write({ offsets: [aLane(99n)], checkpoint: [aLane(99n)] })).rejects.toMatchObject({
      code: 'fenced',
    });

    expect(await stored()).toEqual([{ route: 'r', topic: 't', topic_id: 'id-1', partition: 0, next_offset: '5' }]);
    expect((await client.query('select from millrace.checkpoint')).rowCount).toBe(0);
  });

  it('are those of the whole route, whichever of its shards has written them', async () => {
    const first = await claim('a', 1, 2);
    const second = await claim('b', 2, 2);

    await first.write({ offsets: [aLane(5n)] });
    await second.write({ offsets: [aLane(6n, { partition: 1 })] });

    const { claimed } = await claim('a', 1, 2);
    expect(claimed.laneOffsets?.map(({ partition, nextOffset }) => [partition, nextOffset])).toEqual([
      [0, 5n],
      [1, 6n],
    ]);
  });

  it('go when their lanes are no more', async () => {
    const owner = await claim('a');
    await owner.write({ offsets: [aLane(5n), aLane(6n, { partition: 1 })] });

    await owner.write({ lanesGone: [{ topic: 't', partition: 0 }], offsets: [aLane(7n, { partition: 1 })] });

    expect(await stored()).toMatchObject([{ partition: 1, next_offset: '7' }]);
  });

  it('of an earlier route of the same name are forgotten with its ledger', async () => {
    const owner = await claim('a');
    await owner.write({ offsets: [aLane(5n)] });
    await client.query(`delete from millrace.ledger; delete from millrace.route_shards`);

    expect((await claim('a')).claimed.laneOffsets).toEqual([]);
    expect(await stored()).toEqual([]);
  });
});

describe('a checkpoint', () => {
  it('keeps the ledger and what had been sent to which lane', async () => {
    const owner = await claim('a');
    const next = { high: toPosition(7n), gaps: [] };

    await owner.store.save(next, [], 0, { checkpoint: [aLane(5n), aLane(6n, { topic: 'u', partition: 3 })] });

    const { rows } = await client.query('select route, low, high, offsets from millrace.checkpoint');
    expect(rows).toEqual([{ route: 'r', low: '7', high: '7', offsets: { t: { '0': '5' }, u: { '3': '6' } } }]);
  });

  it('keeps each topic under its name, whatever that is', async () => {
    const owner = await claim('a');
    const lanes = [0, 1].map((partition) => aLane(5n, { topic: '__proto__', partition }));

    await owner.write({ checkpoint: lanes });

    const { rows } = await client.query('select offsets::text from millrace.checkpoint');
    expect(rows).toEqual([{ offsets: '{"__proto__": {"0": "5", "1": "5"}}' }]);
    expect(Reflect.ownKeys(Object.prototype)).not.toContain('0');
  });

  it('is kept for as long as the history', async () => {
    const owner = await claim('a');
    await owner.write({ checkpoint: [aLane(5n)] });
    await client.query(`update millrace.checkpoint set at = at - interval '2 hours'`);
    await owner.write({ checkpoint: [aLane(6n)] });

    await new PgRetention(aConnection()).forgetCheckpoints(3_600_000);

    const { rows } = await client.query(`select offsets from millrace.checkpoint`);
    expect(rows).toEqual([{ offsets: { t: { '0': '6' } } }]);
  });
});
