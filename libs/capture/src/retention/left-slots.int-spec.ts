import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { migrate } from '@millrace/schema';
import { FAST_UNSAFE_SETTINGS, TemporaryPostgres, until } from '@millrace/testing';
import pg from 'pg';
import { slotName } from '../slot/slot-name.js';
import { LeftSlots } from './left-slots.js';
import { DROP_LEFT_SLOT_SQL } from './left-slots.sql.js';

/** Of its own: the making of a slot waits for the open transactions of every database of a server. */
let server: TemporaryPostgres;
let admin: pg.Client;
let told: string[];
const { signal } = new AbortController();

beforeAll(async () => {
  server = new TemporaryPostgres({ ...FAST_UNSAFE_SETTINGS, autovacuum: 'off', max_replication_slots: 4 });
  await server.start();
  await migrate({ databaseUrl: server.adminUrl });
  admin = new pg.Client({ connectionString: server.adminUrl });
  await admin.connect();
  await admin.query('create role relay login replication in role millrace_relay');
  await admin.query('create role stranger login in role millrace_relay');
});

afterAll(async () => {
  await admin.end();
  await server.remove();
});

beforeEach(() => {
  told = [];
});

afterEach(async () => {
  await admin.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots');
  await admin.query('delete from millrace.ledger');
  await admin.query('delete from millrace.route_shards');
});

function leftSlots(retainedBytesMax?: bigint, user = 'relay'): LeftSlots {
  return new LeftSlots({
    source: 'shop',
    databaseUrl: Object.assign(new URL(server.adminUrl), { username: user }).toString(),
    observer: {
      slotLetGo: ({ slot, route }) => told.push(`${route} without ${slot}`),
      alarmRaised: ({ kind }) => told.push(`raised ${kind}`),
      alarmCleared: ({ kind }) => told.push(`cleared ${kind}`),
    },
    ...(retainedBytesMax !== undefined && { retainedBytesMax }),
  });
}

/** A route with a slot that holds some WAL; `lease` in seconds from now, null: released a while ago. */
async function routeWithSlot(route: string, lease: number | null): Promise<string> {
  await admin.query(
    `insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline, owner, expires, updated_at)
     values ($1, 0, 0, 1, 's', 1, case when $2::integer is not null then 'a' end,
       clock_timestamp() + $2::integer * interval '1 second', clock_timestamp() - interval '2 minutes')`,
    [route, lease],
  );
  return slotOf(route);
}

async function slotOf(route: string): Promise<string> {
  const { rows } = await admin.query<{ oid: string }>(
    'select oid::text from pg_database where datname = current_database()',
  );
  const name = slotName({ route, databaseOid: rows[0]?.oid ?? '' }, 'form');
  await admin.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
  await admin.query(`select pg_logical_emit_message(false, 'test', repeat('x', 1000000))`);
  return name;
}

const expire = (route: string): Promise<unknown> =>
  admin.query(
    'update millrace.ledger set expired_at = clock_timestamp(), owner = null, expires = null where route = $1',
    [route],
  );

async function slots(): Promise<string[]> {
  const { rows } = await admin.query<{ slot_name: string }>('select slot_name from pg_replication_slots order by 1');
  return rows.map((row) => row.slot_name);
}

describe('the slot of a route that nobody runs', () => {
  it('goes when the route has expired, and those of others stay', async () => {
    const gone = await routeWithSlot('expired', null);
    await expire('expired');
    const kept = [await routeWithSlot('expired-not', null), await routeWithSlot('run', 3_600)];

    expect(await leftSlots().letGo(signal)).toEqual([]);

    expect(await slots()).toEqual(kept.sort());
    expect(told).toEqual([`expired without ${gone}`]);
  });

  it('goes when it holds as much as one that is read may hold', async () => {
    const gone = await routeWithSlot('stopped', null);
    const kept = [await routeWithSlot('run', 3_600), await routeWithSlot('just-released', -1)];

    expect(await leftSlots(100_000_000n).letGo(signal)).toEqual([]);
    expect(await slots()).toHaveLength(3);
    await leftSlots(1_000_000n).letGo(signal);

    expect(await slots()).toEqual(kept.sort());
    expect(told).toEqual([`stopped without ${gone}`]);
  });

  it('stays when somebody has claimed the route, or let it go on, since it was looked at', async () => {
    const name = await routeWithSlot('r', 3_600);

    expect((await admin.query(DROP_LEFT_SLOT_SQL, ['r', name])).rows).toEqual([{ dropped: '0' }]);
    await expire('r');
    expect((await admin.query(DROP_LEFT_SLOT_SQL, ['r', name])).rows).toEqual([{ dropped: '1' }]);
  });

  it('is told of by name, once, while the role may not drop it', async () => {
    const slot = await routeWithSlot('expired', null);
    await expire('expired');
    const stranger = leftSlots(undefined, 'stranger');

    expect(await stranger.letGo(signal)).toMatchObject([{ kind: 'slot_left', source: 'shop', route: 'expired', slot }]);
    await stranger.letGo(signal);
    await leftSlots().letGo(signal);
    expect(await stranger.letGo(signal)).toEqual([]);

    expect(told).toEqual(['raised slot_left', `expired without ${slot}`, 'cleared slot_left']);
  });

  it('goes when it is of a shard that the route has no more', async () => {
    const kept = [await routeWithSlot('r/1', 3_600), await routeWithSlot('r/2', 3_600)];
    await admin.query(
      `insert into millrace.route_shards (route, shards, wanted) values ('r', 2, 1), ('other', 1, null)`,
    );
    const gone = [await slotOf('r'), await slotOf('r/3')];

    expect(await leftSlots().letGo(signal)).toEqual([]);

    expect(await slots()).toEqual(kept.sort());
    expect(told.sort()).toEqual([`r without ${gone[0]}`, `r/3 without ${gone[1]}`]);
  });

  it('stays when it is of a shard that the route has got since it was looked at', async () => {
    const name = await slotOf('r/2');
    await admin.query(`insert into millrace.route_shards (route, shards) values ('r', 1)`);
    const change = new pg.Client({ connectionString: server.adminUrl });
    await change.connect();
    try {
      await change.query('begin');
      await change.query('update millrace.route_shards set shards = 2');
      const dropping = admin.query(DROP_LEFT_SLOT_SQL, ['r/2', name]);
      await until(
        () => change.query(`select from pg_stat_activity where wait_event_type = 'Lock'`),
        ({ rowCount }) => rowCount === 1,
        'the drop to wait for the change',
      );
      await change.query('commit');
      expect((await dropping).rows).toEqual([{ dropped: '0' }]);
    } finally {
      await change.end();
    }
    expect(await slots()).toEqual([name]);
  });

  it('of another database of the server is nothing to this source', async () => {
    await routeWithSlot('r', null);
    await expire('r');
    await admin.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots');
    const other = slotName({ route: 'r', databaseOid: '1' }, 'form');
    await admin.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [other]);

    await leftSlots().letGo(signal);

    expect(await slots()).toEqual([other]);
  });
});
