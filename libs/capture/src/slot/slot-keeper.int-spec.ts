import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { toEpoch } from '@millrace/events';
import { migrate } from '@millrace/schema';
import { FAST_UNSAFE_SETTINGS, LocalPostgres, TemporaryPostgres } from '@millrace/testing';
import pg from 'pg';
import { PgConnection } from '../pg-connection.js';
import { parseLsn } from '../lsn.js';
import { HEARTBEAT_SQL } from './heartbeat.js';
import { SlotControl } from './slot-control.js';
import { SlotCreation } from './slot-creation.js';
import { SlotKeeper } from './slot-keeper.js';
import { SlotWatch } from './slot-watch.js';
import { DEFAULT_SLOT_LIMIT } from './slot-limit.js';
import { describeKeeper, type SlotKeeperState } from './slot-keeper-state.js';

/** A cluster of its own: the making of a slot waits for the open transactions of every database in it. */
const SETTINGS = {
  ...FAST_UNSAFE_SETTINGS,
  autovacuum: 'off', // the making of a slot would wait for it as well
  max_replication_slots: 4,
  max_wal_size: '64MB',
  min_wal_size: '32MB',
};
const ROUTE = 'orders';
const DEADLINE_MS = 60_000;
/** After which a statement without an answer ends by itself (`PgConnection`). */
const ANSWER_TIMEOUT_MS = 25_000;

/** Whose the data is; `server` runs on it, at times with other settings. */
let home: TemporaryPostgres;
let server: LocalPostgres;
let admin: pg.Client;
let opened: { stop?(): Promise<void>; end?(): Promise<void> }[] = [];

beforeAll(async () => {
  home = new TemporaryPostgres(SETTINGS);
  server = home;
  await server.start();
  await migrate({ databaseUrl: server.adminUrl });
  admin = await connect();
  await admin.query(`create role relay login replication in role millrace_relay`);
  await admin.query(`create role stranger login in role millrace_relay`);
});

afterAll(async () => {
  await admin.end();
  await server.stop('immediate');
  await home.remove();
});

beforeEach(async () => {
  await admin.query('select millrace.ensure_publication()');
  await win(1);
});

afterEach(async () => {
  await Promise.all(opened.map(async (one) => (one.stop ?? one.end)?.call(one)));
  opened = [];
  await until('no backend at any slot', async () => {
    await admin.query('select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null');
    return (await count('pg_replication_slots where active_pid is not null')) === 0;
  });
  await admin.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots');
  for (const { gid } of (await admin.query<{ gid: string }>('select gid from pg_prepared_xacts')).rows) {
    await admin.query(`rollback prepared '${gid}'`);
  }
});

/** `replication: 'database'` is passed on to the server; the types do not know it. */
interface Session extends pg.ClientConfig {
  readonly replication?: 'database';
}

const urlOf = (user: string): string => Object.assign(new URL(server.adminUrl), { username: user }).toString();

async function connect({ user = 'postgres', ...options }: Session = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: urlOf(user), ...options });
  client.on('error', () => undefined); // ended on purpose: the next statement tells
  await client.connect();
  return client;
}

/** A second session, ended with the test. */
async function session(options: Session = {}): Promise<pg.Client> {
  const client = await connect(options);
  opened.push({ end: () => client.end().catch(() => undefined) });
  return client;
}

/** The route is won under this epoch, whoever had it. */
async function win(epoch: number): Promise<void> {
  await admin.query(
    `insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline) values ($1, 0, 0, $2, '', 1)
     on conflict (route) do update set epoch = excluded.epoch`,
    [ROUTE, epoch],
  );
}

async function count(of: string): Promise<number> {
  return (await admin.query(`select from ${of}`)).rowCount ?? 0;
}

/** Polls a condition of the server, which sends no signal; resolves to what it gives. */
async function until<Given>(
  what: string | (() => string),
  given: () => Promise<Given | false> | Given | false,
): Promise<Given> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const found = await given();
    if (found !== false) {
      return found;
    }
    if (performance.now() > deadline) {
      throw new Error(`This never happened: ${typeof what === 'string' ? what : what()}.`);
    }
    await sleep(20);
  }
}

function isKind<Kind extends SlotKeeperState['kind']>(
  state: SlotKeeperState,
  kind: Kind,
): state is Extract<SlotKeeperState, { kind: Kind }> {
  return state.kind === kind;
}

interface Kept {
  readonly keeper: SlotKeeper;
  readonly states: SlotKeeperState[];
  readonly reach: <Kind extends SlotKeeperState['kind']>(
    kind: Kind,
  ) => Promise<Extract<SlotKeeperState, { kind: Kind }>>;
}

function keep(epoch = 1, user = 'relay'): Kept {
  const states: SlotKeeperState[] = [];
  const keeper = new SlotKeeper({
    databaseUrl: urlOf(user),
    applicationName: `keeper ${epoch}`,
    claim: { route: ROUTE, epoch: toEpoch(epoch) },
    onState: (state) => states.push(state),
  });
  opened.push(keeper);
  return {
    keeper,
    states,
    reach: async (kind) => {
      const sofar = (): string => `${kind} after ${states.map(describeKeeper).join(' / ')}`;
      return until(sofar, () => (isKind(keeper.state, kind) ? keeper.state : false));
    },
  };
}

/** A keeper whose slot is there. */
async function kept(): Promise<Kept & { readonly name: string; readonly confirmed: bigint }> {
  const made = keep();
  made.keeper.start();
  const { slot } = await made.reach('ready');
  return { ...made, name: slot.name, confirmed: slot.confirmedFlushLsn ?? 0n };
}

const unread = (): { ourPid: null; confirmedLsn: null } => ({ ourPid: null, confirmedLsn: null });

async function slotNames(): Promise<string[]> {
  const { rows } = await admin.query<{ slot_name: string }>('select slot_name from pg_replication_slots order by 1');
  return rows.map((row) => row.slot_name);
}

/** Writes an event and enough WAL around it to fill a segment. */
async function fillSegment(): Promise<void> {
  await admin.query(
    `select pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) from generate_series(1, 20)`,
  );
  await admin.query('select pg_switch_wal()');
  await admin.query('checkpoint');
}

async function setting(name: string, value: string | null): Promise<void> {
  await admin.query(`alter system ${value === null ? `reset ${name}` : `set ${name} = '${value}'`}`);
  await admin.query('select pg_reload_conf()');
  await until(`${name} is in force`, async () => {
    const { rows } = await admin.query<{ is_set: boolean }>(
      `select source = 'configuration file' as is_set from pg_settings where name = $1`,
      [name],
    );
    return rows[0]?.is_set === (value !== null);
  });
}

/** Reads a slot as a relay does, over the replication protocol. */
async function readSlot(name: string): Promise<pg.Client> {
  const reader = await session({ user: 'relay', replication: 'database' });
  void reader
    .query(`START_REPLICATION SLOT "${name}" LOGICAL 0/0 (proto_version '1', publication_names 'millrace')`)
    .catch(() => undefined); // it ends when the reader is ended
  await until('the slot is read', async () => (await count('pg_replication_slots where active_pid is not null')) === 1);
  return reader;
}

describe('a slot that nobody hinders', () => {
  it('is made in the background, for a role with no more rights than it needs, as a failover slot', async () => {
    const { keeper, states, name } = await kept();

    expect(name).toMatch(/^millrace_orders_[0-9a-f]{8}_[0-9a-f]{8}$/);
    expect(states.map(({ kind }) => kind)).toEqual(['creating', 'ready']);
    const { reading, health } = await keeper.check(unread);
    expect(health).toMatchObject({ kind: 'ready', slot: { isFailover: true, walStatus: 'reserved', isSynced: false } });
    expect(reading).toMatchObject({
      slotsMax: 4,
      slotsUsed: 1,
      walSenderTimeoutMs: 60_000,
      synchronizedStandbySlots: '',
    });
    expect(reading.serverVersion).toBeGreaterThanOrEqual(180_000);
    expect(reading.slots[0]?.retainedBytes).toBeGreaterThanOrEqual(0n);
  });

  it('is kept as it is by the next owner', async () => {
    const first = await kept();
    await first.keeper.stop();
    expect(first.keeper.state).toEqual({ kind: 'idle' });
    await win(2);

    const second = keep(2);
    second.keeper.start();

    expect((await second.reach('ready')).slot).toMatchObject({ name: first.name, confirmedFlushLsn: first.confirmed });
    expect(second.states.map(({ kind }) => kind)).toEqual(['ready']);
  });

  it('is seen with its reader and its counters while it is read', async () => {
    const { keeper, name } = await kept();
    await readSlot(name);
    await until(
      'the walsender streams',
      async () => (await count(`pg_stat_replication where state = 'streaming'`)) === 1,
    );

    const { reading, health } = await keeper.check(unread);
    expect(health).toMatchObject({ kind: 'busy', name });
    expect(reading.slots[0]).toMatchObject({ reader: null, spill: { spilledBytes: 0n } });
    await admin.query('grant pg_read_all_stats to relay');
    expect((await keeper.check(unread)).reading.slots[0]).toMatchObject({ reader: { state: 'streaming' } });
    await admin.query('revoke pg_read_all_stats from relay');
    const ourPid = reading.slots[0]?.activePid ?? null;
    expect((await keeper.check(() => ({ ourPid, confirmedLsn: null }))).health.kind).toBe('ready');
  });
});

describe('a publication', () => {
  it('that is missing is made before the slot', async () => {
    await admin.query('drop publication millrace');
    const { states, name } = await kept();

    expect(states[0]).toMatchObject({ kind: 'held-up', health: { kind: 'publication-missing' } });
    const { rows } = await admin.query(
      `select pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot from pg_publication where pubname = 'millrace'`,
    );
    expect(rows).toEqual([
      { pubinsert: true, pubupdate: false, pubdelete: false, pubtruncate: false, pubviaroot: true },
    ]);
    expect(await slotNames()).toEqual([name]);
  });

  it.each([
    'alter publication millrace set (publish = $$insert, delete$$)',
    'alter publication millrace set (publish_via_partition_root = false)',
    'alter publication millrace add table millrace.ledger',
    'alter publication millrace add tables in schema millrace',
    'alter publication millrace drop table millrace.outbox',
    `alter publication millrace set table millrace.outbox where (aggregatetype = 'order')`,
    'alter publication millrace set table millrace.outbox (position, id)',
  ])('that is wrong is made anew: %s', async (statement) => {
    await admin.query(statement);
    const { keeper, states } = await kept();

    expect(states[0]).toMatchObject({ kind: 'held-up', health: { kind: 'publication-wrong' } });
    expect((await keeper.check(unread)).health.kind).toBe('ready');
  });

  it.each([
    ['drop publication millrace', 'select millrace.ensure_publication()'],
    ['alter publication millrace drop table millrace.outbox', 'alter publication millrace add table millrace.outbox'],
    ['alter publication millrace set (publish = $$update$$)', 'alter publication millrace set (publish = $$insert$$)'],
  ])('that was not right for a while makes the slot a stranger: %s', async (breaking, mending) => {
    const { keeper, name, reach, states } = await kept();
    await admin.query(breaking);
    expect((await keeper.check(unread)).health.kind).toMatch(/^publication-(missing|wrong)$/);
    await admin.query(mending);

    expect((await keeper.check(unread)).health).toEqual({ kind: 'publication-younger-than-slot', name });
    keeper.start();
    const { slot } = await reach('ready');

    expect(slot.name).not.toBe(name);
    expect(await slotNames()).toEqual([slot.name]);
    expect(states.map(describeKeeper)).toContainEqual(expect.stringMatching(/made before publication millrace/));
  });

  it('keeps its form when the catalog is frozen and rewritten', async () => {
    const { keeper, name } = await kept();
    await admin.query('vacuum (freeze) pg_publication, pg_publication_rel');
    await admin.query('vacuum (full, freeze) pg_publication, pg_publication_rel');

    expect((await keeper.check(unread)).health).toMatchObject({ kind: 'ready', slot: { name } });
  });
});

describe('a publication that may not be made', () => {
  it('is told of, and what a superuser makes instead is taken', async () => {
    await admin.query('drop publication millrace');
    await admin.query('create role plain');
    await admin.query('alter function millrace.ensure_publication() owner to plain');
    await admin.query('grant usage on schema millrace to plain');
    const { keeper, reach } = keep();
    keeper.start();

    const { error } = await reach('failed');
    expect(error).toMatchObject({
      code: 'not_authorised',
      message: expect.stringMatching(/grant CREATE on the database/),
    });
    const statement = /`(create publication [^`]*)`/.exec(error.message)?.[1] ?? '';
    await admin.query(statement);
    await reach('ready');
    await admin.query('alter function millrace.ensure_publication() owner to postgres');
    await admin.query('drop owned by plain');
    await admin.query('drop role plain');
  });
});

describe('a slot that was lost', () => {
  it('to max_slot_wal_keep_size is said to be so, and made anew', async () => {
    const { keeper, name, reach } = await kept();
    await setting('max_slot_wal_keep_size', '1MB');
    await fillSegment();
    await until('the server gives the slot up', async () => {
      await fillSegment();
      return (await count(`pg_replication_slots where wal_status = 'lost'`)) === 1;
    });

    expect((await keeper.check(unread)).health).toEqual({ kind: 'invalidated', name, reason: 'wal_removed' });
    await setting('max_slot_wal_keep_size', null);
    keeper.start();
    expect((await reach('ready')).slot.name).toBe(name);
    expect((await keeper.check(unread)).health.kind).toBe('ready');
  });

  it('to max_slot_wal_keep_size shows before how much is left', async () => {
    await setting('max_slot_wal_keep_size', '512MB');
    const { keeper } = await kept();
    const before = (await keeper.check(unread)).reading.slots[0];
    await admin.query(
      `select pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) from generate_series(1, 5)`,
    );
    await admin.query('select pg_switch_wal()'); // what is in buffers does not count
    const after = (await keeper.check(unread)).reading.slots[0];
    await setting('max_slot_wal_keep_size', null);

    expect(Number(after?.retainedBytes) - Number(before?.retainedBytes)).toBeGreaterThan(4_900_000);
    expect(Number(before?.safeWalBytes) - Number(after?.safeWalBytes)).toBeGreaterThan(4_900_000);
  });

  it('to idle_replication_slot_timeout is said to be so, and made anew', async () => {
    const { keeper, name, reach } = await kept();
    await setting('idle_replication_slot_timeout', '1s');
    await until('the server gives the slot up', async () => {
      await admin.query('checkpoint');
      return (await count(`pg_replication_slots where invalidation_reason = 'idle_timeout'`)) === 1;
    });
    await setting('idle_replication_slot_timeout', null);

    expect((await keeper.check(unread)).health).toEqual({ kind: 'invalidated', name, reason: 'idle_timeout' });
    keeper.start();
    await reach('ready');
    expect((await keeper.check(unread)).health.kind).toBe('ready');
  });

  it('because somebody dropped it is made anew', async () => {
    const { keeper, name } = await kept();
    await admin.query('select pg_drop_replication_slot($1)', [name]);

    expect((await keeper.check(unread)).health).toEqual({ kind: 'absent', name });
    keeper.start();
    await until('the slot is there', async () => (await slotNames()).includes(name));
  });

  it.each([
    [
      'advanced',
      async (name: string) => {
        await admin.query('select pg_switch_wal()'); // flushes, as nothing waits for the disk here
        await admin.query('select pg_replication_slot_advance($1, pg_current_wal_flush_lsn())', [name]);
      },
    ],
    [
      'dropped and made anew',
      async (name: string) => {
        await admin.query('select pg_drop_replication_slot($1)', [name]);
        await admin.query(`select pg_create_logical_replication_slot($1, 'pgoutput', failover => true)`, [name]);
      },
    ],
  ])('because somebody %s it stands ahead of what was confirmed, and is made anew when told', async (_how, act) => {
    const { keeper, name, confirmed, states } = await kept();
    await insertEvent(admin);
    await act(name);

    const { health } = await keeper.check(() => ({ ourPid: null, confirmedLsn: confirmed }));
    expect(health).toMatchObject({ kind: 'ahead-of-us', name, ours: confirmed });
    states.length = 0;
    keeper.remake();
    await until('the slot was made', () => states.at(-1)?.kind === 'ready');
    expect(states.map(({ kind }) => kind)).toEqual(['creating', 'ready']);
    expect(await slotNames()).toEqual([name]);
  });

  it('because somebody made it with another plugin is made anew', async () => {
    const { keeper, name } = await kept();
    await admin.query('select pg_drop_replication_slot($1)', [name]);
    await admin.query(`select pg_create_logical_replication_slot($1, 'pgoutput', false, true)`, [name]);

    expect((await keeper.check(unread)).health).toEqual({ kind: 'not-as-made', name });
    keeper.start();
    await until('the slot is whole', async () => (await keeper.check(unread)).health.kind === 'ready');
  });
});

async function insertEvent(client: pg.Client): Promise<void> {
  await client.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
    values (gen_random_uuid(), 'order', 'o-1', 'order.placed', '{}')`);
}

/** A session with an open transaction that has written an event: whoever makes a slot waits for it. */
async function openWriter(options: Session = {}): Promise<pg.Client> {
  const client = await session(options);
  await client.query('begin');
  await insertEvent(client);
  return client;
}

async function waitingShows(keeper: SlotKeeper): Promise<void> {
  await until('the waiting shows', () => keeper.state.kind === 'creating' && keeper.state.waitingFor !== null);
}

/** For whom the making of the slot waited, one after the other; between two it may be seen to wait for nobody. */
function awaited(states: readonly SlotKeeperState[]): unknown[] {
  return states.flatMap((state) =>
    state.kind === 'creating' && state.waitingFor !== null ? [state.waitingFor.preparedAs ?? state.waitingFor.pid] : [],
  );
}

describe('the making of a slot', () => {
  it('waits for a transaction that was open before, says for whom, and goes on by itself', async () => {
    await admin.query('grant pg_read_all_stats to relay');
    const job = await openWriter({ application_name: 'nightly job' });
    const jobPid = Number((await job.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid);
    const { keeper, states } = keep();
    keeper.start();

    await waitingShows(keeper);
    expect(keeper.state).toMatchObject({ waitingFor: { pid: jobPid, application: 'nightly job', preparedAs: null } });
    expect(describeKeeper(keeper.state)).toMatch(
      new RegExp(`waits for pid ${jobPid}, application nightly job, open for \\d+ s: .* goes on by polling`),
    );
    expect(awaited(states)).toEqual([jobPid]);
    await job.query('commit');
    await until('the slot is there', () => keeper.state.kind === 'ready');
    await admin.query('revoke pg_read_all_stats from relay');
  });

  it('names a prepared transaction, and shows all but the age to a role without further rights', async () => {
    await admin.query('begin');
    await insertEvent(admin);
    await admin.query(`prepare transaction 'forgotten'`);
    const { keeper, states, reach } = keep();
    keeper.start();

    await waitingShows(keeper);
    expect(describeKeeper(keeper.state)).toMatch(/waits for prepared transaction forgotten, open for \d+ s/);
    const job = await session({ application_name: 'job' });
    const { rows } = await job.query<{ pid: number }>('select pg_backend_pid() as pid');
    await job.query('begin');
    await insertEvent(job);
    await admin.query(`rollback prepared 'forgotten'`);
    await until(
      () => `it waits for the next after ${describeKeeper(keeper.state)}`,
      () => describeKeeper(keeper.state).includes(`waits for pid ${rows[0]?.pid}, application job: `),
    );
    await job.query('rollback');
    await reach('ready');
    expect(awaited(states)).toEqual(['forgotten', rows[0]?.pid]);
  });

  it('is given up when it is stopped, whoever goes on for whom it waits, and leaves nothing behind', async () => {
    const job = await openWriter();
    const { keeper } = keep();
    keeper.start();
    await waitingShows(keeper);

    await keeper.stop();
    await until('no slot is left', async () => (await slotNames()).length === 0);
    await until('no session is left', async () => {
      return (await count(`pg_stat_activity where application_name = 'keeper 1'`)) === 0;
    });
    await job.query('commit');
  });

  it('of a relay that was killed is noticed by the server', async () => {
    const job = await openWriter();
    const creation = new SlotCreation({
      databaseUrl: urlOf('relay'),
      applicationName: 'killed',
      name: 'millrace_killed',
      serverVersion: 180_000,
      isFailover: true,
    });
    const outcome = creation.run().catch((error: unknown) => error);
    await until('the making waits', async () => (await count(`pg_locks where not granted`)) === 1);
    creation.cancel();

    expect(await outcome).toMatchObject({ code: 'database_unavailable' });
    await until('no slot is left', async () => (await slotNames()).length === 0);
    await job.query('commit');
  });

  it('is let go of when what it holds is too much, though it is not finished', async () => {
    const job = await openWriter();
    const { keeper, reach } = keep();
    keeper.start();
    await waitingShows(keeper);
    await fillSegment();
    let nowMs = 0;
    const clock = { nowMs: () => nowMs, sleep: () => Promise.resolve() };
    const watch = new SlotWatch(keeper, clock, { ...DEFAULT_SLOT_LIMIT, retainedBytesMax: 16_000_000n });
    nowMs = 10_000;
    const look = await watch.lookWhenDue(() => ({ ...unread(), isCaughtUp: true }));

    expect(look.kind).toBe('over-limit');
    keeper.letGo(look.kind === 'over-limit' ? look.reason : '');
    expect(describeKeeper(await reach('let-go'))).toMatch(
      /let go because it held \d+ MiB of WAL, and its limit is 15 MiB/,
    );
    expect(await slotNames()).toEqual([]);
    await job.query('commit');
  });

  it('goes on when it is asked for again', async () => {
    const job = await openWriter();
    const { keeper, reach } = keep();
    keeper.start();
    await waitingShows(keeper);
    const before = keeper.state;
    keeper.start();

    expect(keeper.state).toBe(before);
    await job.query('commit');
    await reach('ready');
  });

  it('of an owner that lost the route is ended by the next one', async () => {
    const job = await openWriter();
    const old = keep(1);
    old.keeper.start();
    await until(
      'the old one waits',
      () => old.keeper.state.kind === 'creating' && old.keeper.state.waitingFor !== null,
    );
    await win(2);
    const next = keep(2);
    next.keeper.start();

    await until('the old one hears of it', () => old.keeper.state.kind === 'failed');
    await job.query('commit');
    await until('the new one has the slot', () => next.keeper.state.kind === 'ready');
    await old.keeper.stop();
    expect(await slotNames()).toHaveLength(1);
  });

  it('says that no slot is left, and goes on when there is one', async () => {
    for (const name of ['a', 'b', 'c', 'd']) {
      await admin.query('select pg_create_physical_replication_slot($1)', [name]);
    }
    const { keeper, reach } = keep();
    keeper.start();

    expect(await reach('held-up')).toMatchObject({ health: { kind: 'no-slot-left', used: 4, max: 4 } });
    await admin.query(`select pg_drop_replication_slot('a')`);
    await reach('ready');
    await admin.query(
      `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_type = 'physical'`,
    );
  });

  it('says which right is missing', async () => {
    const { keeper, reach } = keep(1, 'stranger');
    keeper.start();

    expect(describeKeeper(await reach('held-up'))).toMatch(/lacks the attribute REPLICATION/);
  });

  it('says that the schema is too old when it has no function for the publication', async () => {
    await admin.query('drop publication millrace');
    await admin.query('alter function millrace.ensure_publication() rename to hidden');
    const { keeper, reach } = keep();
    keeper.start();

    expect(await reach('failed')).toMatchObject({ error: { code: 'schema_too_old' } });
    await admin.query('alter function millrace.hidden() rename to ensure_publication');
    await reach('ready');
  });
});

describe('a slot and its owner', () => {
  it('the reader of an owner that lost the route is ended, and the slot kept', async () => {
    const old = await kept();
    await readSlot(old.name);
    await win(2);
    const next = keep(2);
    next.keeper.start();

    const { slot } = await next.reach('ready');
    expect(slot).toMatchObject({ name: old.name, activePid: null });
    expect(next.states[0]).toMatchObject({ kind: 'held-up', health: { kind: 'busy' } });
  });

  it('nobody who lost the route ends a reader, drops a slot or makes one anew', async () => {
    const old = await kept();
    await win(2);
    await readSlot(old.name);

    for (const goal of ['start', 'remake', 'letGo'] as const) {
      old.keeper[goal]('limit');
      await until('it hears that the route is lost', () => old.keeper.state.kind === 'failed');
      expect(old.keeper.state).toMatchObject({ error: { code: 'fenced' }, retryInMs: null });
      await old.keeper.stop();
    }
    expect(await count('pg_replication_slots where active_pid is not null')).toBe(1);
  });

  it('a slot that nobody reads is not dropped by who lost the route either', async () => {
    const old = await kept();
    await win(2);
    old.keeper.letGo('limit');

    await old.reach('failed');
    expect(await slotNames()).toEqual([old.name]);
  });

  it('it is let go of by name, reader and all, and had again after a start', async () => {
    const { keeper, name, reach } = await kept();
    await readSlot(name);
    keeper.letGo('The slot held too much.');

    expect(describeKeeper(await reach('let-go'))).toBe('The slot held too much.');
    expect(await slotNames()).toEqual([]);
    keeper.start();
    await reach('ready');
  });

  it('a reader under another role that may not be ended is told of', async () => {
    const old = await kept();
    const reader = await session({ replication: 'database' }); // as superuser
    void reader
      .query(`START_REPLICATION SLOT "${old.name}" LOGICAL 0/0 (proto_version '1', publication_names 'millrace')`)
      .catch(() => undefined);
    await until(
      'the slot is read',
      async () => (await count('pg_replication_slots where active_pid is not null')) === 1,
    );
    await win(2);
    const next = keep(2);
    next.keeper.start();

    expect(await next.reach('failed')).toMatchObject({
      error: { code: 'not_authorised', message: expect.stringMatching(/pg_signal_backend/) },
    });
  });
});

describe('a server that does not answer', () => {
  it('holds nobody up who wants to stop', async () => {
    const { keeper } = await kept();
    const pid = await until('the session that made the slot is gone', async () => {
      const { rows } = await admin.query<{ pid: number }>(
        `select pid from pg_stat_activity where application_name = 'keeper 1'`,
      );
      return rows.length === 1 && rows[0] !== undefined ? rows[0].pid : false;
    });
    process.kill(pid, 'SIGSTOP');
    const frozenAt = performance.now();
    try {
      keeper.start();
      await keeper.stop();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(performance.now() - frozenAt).toBeLessThan(ANSWER_TIMEOUT_MS);
    expect(keeper.state).toEqual({ kind: 'idle' });
  });
});

describe('a heartbeat', () => {
  it('is run by the relay alone, comes to the reader, and moves the slot over foreign WAL', async () => {
    const { keeper, name, confirmed } = await kept();
    await admin.query(
      `select pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) from generate_series(1, 3)`,
    );
    await keeper.emitHeartbeat();
    await admin.query('select pg_switch_wal()'); // flushes what is not waited for

    const reader = await session({ user: 'relay' });
    const { rows } = await reader.query<{ lsn: string; data: Buffer }>(
      `select lsn::text, data from pg_logical_slot_get_binary_changes($1, null, null,
        'proto_version', '1', 'publication_names', 'millrace', 'messages', 'true')`,
      [name],
    );
    const beat = rows.find(({ data }) => data.includes('millrace\0'));
    expect(beat?.data.toString('latin1')).toMatch(/^M\0/);
    expect(parseLsn(beat?.lsn ?? '')).toBeGreaterThan(confirmed + 3_000_000n);
    const slot = (await keeper.check(unread)).reading.slots[0];
    expect(slot?.confirmedFlushLsn).toBeGreaterThanOrEqual(parseLsn(beat?.lsn ?? ''));
  });

  it('takes no transaction id', async () => {
    const reader = await session({ user: 'relay' });
    await reader.query('begin');
    await reader.query(HEARTBEAT_SQL);
    const { rows } = await reader.query<{ xid: string | null }>('select pg_current_xact_id_if_assigned()::text as xid');
    await reader.query('commit');
    expect(rows).toEqual([{ xid: null }]);
  });
});

describe('a server that is not fit', () => {
  afterAll(async () => {
    await rm(join(server.dataDir, 'standby.signal'), { force: true });
  });

  async function restarted(settings: Record<string, string>): Promise<void> {
    await admin.end();
    await server.stop();
    const again = new LocalPostgres({
      dataDir: server.dataDir,
      port: server.port,
      settings: { ...SETTINGS, ...settings },
    });
    await again.start();
    server = again;
    admin = await connect();
  }

  it('because its wal_level is too low says so', async () => {
    await restarted({ wal_level: 'replica' });
    const { keeper, reach } = keep();
    keeper.start();

    expect(describeKeeper(await reach('held-up'))).toMatch(/runs with wal_level = replica: set wal_level = logical/);
  });

  it('because it is a standby is left alone', async () => {
    await restarted({});
    const { name } = await kept();
    await writeFile(join(server.dataDir, 'standby.signal'), '');
    await admin.query('select 1');
    opened = [];
    await restarted({ hot_standby: 'on' });
    const control = new SlotControl(new PgConnection({ databaseUrl: server.adminUrl, applicationName: 'control' }), {
      route: ROUTE,
      epoch: toEpoch(1),
    });
    const reading = await control.read();
    await control.close();
    expect(reading).toMatchObject({ isStandby: true, walLsn: null });
    expect(reading.slots.map((slot) => slot.name)).toEqual([name]);
    const { keeper, reach } = keep();
    keeper.letGo('standby');
    await reach('let-go');
    keeper.start();
    expect(await reach('held-up')).toMatchObject({ health: { kind: 'not-primary' } });
    expect(await slotNames()).toEqual([name]);
    await keeper.stop();
    await rm(join(server.dataDir, 'standby.signal'));
    await restarted({});
  });
});
