import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase, uniqueName, until } from '@millrace/testing';
import type pg from 'pg';
import { type CaptureChange } from './capture-observer.js';
import { type CapturePort, type SourcePort } from './capture-port.js';
import { createOutboxSource } from './outbox-source.js';
import { slotPrefix } from './slot/slot-name.js';

/** Has no right to drop a slot. */
const ROLE = uniqueName('stranger');
const INSERT = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
  values (gen_random_uuid(), 'order', 'k', 'placed', '{}')`;

let database: TestDatabase;
let client: pg.Client;
let source: SourcePort;
let changes: CaptureChange[];
let captures: CapturePort[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  await client.query(`create role ${ROLE} login in role millrace_relay`);
  changes = [];
  captures = [];
  const databaseUrl = Object.assign(new URL(database.url), { username: ROLE }).toString();
  const observer = { captureChanged: (change: CaptureChange): number => changes.push(change) };
  source = createOutboxSource({ name: 'db', databaseUrl, observer });
});

afterEach(async () => {
  await Promise.all(captures.map((capture) => capture.close()));
  await client.query(
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()',
  );
  await client.query(`drop role ${ROLE}`);
  await client.end();
  await database.drop();
});

async function claim(): Promise<CapturePort> {
  const claimed = await source.claim({
    route: 'r',
    owner: 'a',
    ttlMs: 600_000,
    from: { kind: 'earliest' },
    aggregateTypes: null,
  });
  if (claimed.kind !== 'claimed') {
    throw new Error(`The route is ${claimed.kind}.`);
  }
  captures.push(claimed.capture);
  return claimed.capture;
}

async function aSlot(): Promise<void> {
  const { rows } = await client.query<{ oid: string }>(
    'select oid::text from pg_database where datname = current_database()',
  );
  const name = `${slotPrefix({ route: 'r', databaseOid: rows[0]?.oid ?? '' })}0`;
  await client.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
}

it('tells what keeps a change of shards from its end when the slot cannot be dropped', async () => {
  await (await claim()).close();
  await aSlot();
  await source.setShards({ route: 'r', shards: 2, actor: 'anna', reason: null });
  const draining = await claim();
  const seen = await until(
    () => Promise.resolve(draining.status().slot),
    (slot) => slot?.state === 'failed',
    'a slot that cannot be dropped',
  );
  expect(seen?.message).toContain('REPLICATION');
  await draining.renew();
  expect((await source.shards('r')).shards).toMatchObject([{ name: 'r', low: 0n, isDrained: false }]);
  expect(changes).toMatchObject([{ source: 'db', route: 'r', reading: 'table', slot: 'failed', isWarning: true }]);
  expect(changes[0]?.message).toMatch(/^The change of shards waits for the slot of the shard\. .*REPLICATION/);
  await client.query(`alter role ${ROLE} replication`);
  await until(
    () => Promise.resolve(draining.status().slot),
    (slot) => slot === null,
    'the end of the slot',
  );
  await expect(draining.renew()).rejects.toMatchObject({ code: 'fenced' });
  expect(changes).toHaveLength(1);
});

it('shows the mode that is asked for, whatever is read until the new shards begin', async () => {
  const late = await database.connect();
  await late.query('begin');
  await late.query(INSERT);
  await client.query(INSERT);
  const before = await claim();
  await before.settle(await before.nextPage());
  await before.close();
  await source.setCapture({ route: 'r', mode: 'auto', actor: 'anna', reason: null });
  await source.setShards({ route: 'r', shards: 2, actor: 'anna', reason: null });
  const draining = await claim();
  expect(draining.status()).toMatchObject({ mode: 'auto', reading: 'table', low: 0n, high: 2n });
  await source.setCapture({ route: 'r', mode: 'wal', actor: 'anna', reason: null });
  await draining.renew();
  expect(draining.status()).toMatchObject({ mode: 'wal', reading: 'table' });
  await source.setCapture({ route: 'r', mode: null, actor: 'anna', reason: null });
  await draining.renew();
  expect(draining.status()).toMatchObject({ mode: 'polling', reading: 'table' });
  await late.query('rollback');
  await late.end();
});
