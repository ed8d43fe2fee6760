import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { migrate } from '@millrace/schema';
import {
  createTestDatabase,
  FAST_UNSAFE_SETTINGS,
  TemporaryPostgres,
  type TestDatabase,
  until,
} from '@millrace/testing';
import pg from 'pg';
import { PgConnection } from '../pg-connection.js';
import { adoptLedger } from '../outbox-source.js';
import { type ArchiveHook, RetentionKeeper } from './retention-keeper.js';

const LEAF = 1_000_000;
const INSERT = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
  values (gen_random_uuid(), 'account', 'k', 'changed', '{}')`;

/** Five leaves of one event each that a route has read and settled; the next event goes to the sixth. */
const FIVE_SETTLED_LEAVES = `do $$
begin
  for leaf in 0 .. 4 loop
    perform setval('millrace.position', leaf * ${LEAF} + 10);
    ${INSERT};
  end loop;
  perform setval('millrace.position', 5 * ${LEAF});
  insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline, counted_from)
  select 'r', 5 * ${LEAF}, 5 * ${LEAF}, 1, s.system_identifier::text,
    ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint, 1 from pg_control_system() s;
  insert into millrace.ledger_leaf (route, leaf_lo, rows_read) select 'r', n * ${LEAF} + 1, 1 from generate_series(0, 4) n;
end
$$`;

function keeperOf(databaseUrl: string, clock: { nowMs(): number }, archive?: ArchiveHook): RetentionKeeper {
  return new RetentionKeeper({
    source: 'shop',
    connect: () => new PgConnection({ databaseUrl, applicationName: 'test retention' }),
    clock: { nowMs: () => clock.nowMs(), sleep: () => Promise.resolve() },
    policy: { keepMs: 0, maxAgeMs: null, maxBytes: null },
    observer: {},
    ...(archive === undefined ? {} : { archive }),
    expiryGraceMs: 0,
  });
}

const pidOf = async (client: pg.Client): Promise<number> => {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid ?? 0;
};

describe('producers', () => {
  let database: TestDatabase;
  let admin: pg.Client;
  let clients: pg.Client[];

  beforeEach(async () => {
    database = await createTestDatabase();
    admin = await database.connect();
    clients = [];
    await admin.query(FIVE_SETTLED_LEAVES);
  });

  afterEach(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await admin.end();
    await database.drop();
  });

  async function connect(): Promise<pg.Client> {
    const client = await database.connect();
    clients.push(client);
    return client;
  }

  /** Inserts one event after the other until it is told to stop; returns how many. */
  async function produce(client: pg.Client, isOver: () => boolean): Promise<number> {
    let inserted = 0;
    for (; !isOver(); inserted += 1) {
      await client.query(INSERT);
    }
    return inserted;
  }

  /** Relation locks that one of the producers had to wait for, as often as it was seen. */
  async function watch(client: pg.Client, pids: readonly number[], isOver: () => boolean): Promise<string[]> {
    const waits: string[] = [];
    while (!isOver()) {
      const { rows } = await client.query<{ wait: string }>(
        `select format('%s waits for %s behind %s', k.pid, k.relation::regclass, pg_blocking_pids(k.pid)) as wait
         from pg_locks k where not k.granted and k.locktype = 'relation' and k.pid = any($1)`,
        [pids],
      );
      waits.push(...rows.map(({ wait }) => wait));
    }
    return waits;
  }

  it('never wait for retention, beside a long transaction and a long read', async () => {
    const [long, reader, watcher] = [await connect(), await connect(), await connect()];
    const producers = [await connect(), await connect(), await connect()];
    await long.query('begin');
    await long.query(INSERT);
    await reader.query('begin; select count(*) from millrace.outbox');
    let nowMs = 0;
    const retention = keeperOf(database.url, { nowMs: () => nowMs });
    let isOver = false;
    const work = producers.map((client) => produce(client, () => isOver));
    const watching = watch(watcher, await Promise.all(producers.map(pidOf)), () => isOver);

    const withReader = [await retention.run(), await retention.run()];
    await reader.query('commit');
    const after = [];
    for (let runs = 0; runs < 3; runs += 1) {
      nowMs += 60_000;
      after.push(await retention.run());
    }
    isOver = true;
    const inserted = await Promise.all(work);

    expect(await watching).toEqual([]);
    expect(Math.min(...inserted)).toBeGreaterThan(0);
    expect(withReader.map(({ emptied, waiting }) => [emptied.length, waiting.map(({ obstacle }) => obstacle)])).toEqual(
      [
        [0, Array(5).fill('locked')],
        [0, Array(5).fill('locked')],
      ],
    );
    expect(after.map(({ emptied, leavesDropped }) => [emptied.length, leavesDropped])).toEqual([
      [5, 0],
      [0, 0],
      [0, 0],
    ]);
    await long.query('commit');
  });

  it('wait for a DROP of an old leaf behind one open transaction: the wrong rule', async () => {
    const [long, dropper, producer] = [await connect(), await connect(), await connect()];
    await long.query('begin');
    await long.query(INSERT);
    const [dropperPid, producerPid] = [await pidOf(dropper), await pidOf(producer)];

    const dropping = dropper.query('drop table millrace.outbox_p1');
    await waitsBehind(dropperPid, await pidOf(long));
    const inserting = producer.query(INSERT);
    await waitsBehind(producerPid, dropperPid);

    await long.query('commit');
    await Promise.all([dropping, inserting]);
  });

  async function waitsBehind(pid: number, holder: number): Promise<void> {
    const question = 'select $2 = any(pg_blocking_pids($1)) as is_behind';
    await until(
      async () => (await admin.query<{ is_behind: boolean }>(question, [pid, holder])).rows,
      ([row]) => row?.is_behind === true,
      `${pid} behind ${holder}`,
    );
  }
});

describe('a server that is a standby and is promoted', () => {
  let server: TemporaryPostgres;

  beforeEach(async () => {
    server = new TemporaryPostgres(FAST_UNSAFE_SETTINGS);
    await server.start();
    await migrate({ databaseUrl: server.adminUrl });
    await ask(FIVE_SETTLED_LEAVES);
  });

  afterEach(async () => {
    await server.remove();
  });

  async function ask(statement: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: server.adminUrl });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(statement)).rows;
    } finally {
      await client.end();
    }
  }

  it('between the look at a leaf and its end keeps the leaf until the ledger was adopted', async () => {
    let isStandby = false;
    const retention = keeperOf(server.adminUrl, { nowMs: () => 0 }, async () => {
      if (!isStandby) {
        isStandby = true;
        await server.stop();
        await writeFile(join(server.dataDir, 'standby.signal'), '');
        await server.start();
      }
    });

    await expect(retention.run()).rejects.toMatchObject({ code: 'database_unavailable' });
    await expect(retention.run()).rejects.toMatchObject({ code: 'not_primary' });
    expect(await ask('select count(*)::int from millrace.outbox')).toEqual([{ count: 5 }]);

    await ask('select pg_promote()');
    expect((await retention.run()).alarms).toMatchObject([{ kind: 'identity_changed', route: 'r' }]);
    await ask(`update millrace.ledger set expires = null, epoch = 2::bigint << 32`);
    await ask(`insert into millrace.relay_member (source, owner, expires, config_version, stopped)
      values ('shop', 'a', 'infinity', '1', '{r}')`);
    await adoptLedger({ databaseUrl: server.adminUrl, route: 'r', actor: 'op', reason: null });
    expect((await retention.run()).emptied).toHaveLength(5);
    expect(await ask('select count(*)::int from millrace.outbox')).toEqual([{ count: 0 }]);
  });
});
