import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy, PostgresStandby } from '@millrace/testing';
import { withClient } from '../../../harness/servers.js';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { type RowWorld } from '../row-world.js';

const AT_WORK_MS = 3_000;
const LOST_MS = 3_000;
const DOWN_MS = 500;
/** The standby looks at the primary's slots each 30 s at worst. */
const SYNCED_MS = 70_000;
/** A promotion in the middle of a page: both, the take-over and the reading of the topics, come before the first event. */
const TOLD_MS = 30_000;
const SYNCED_SQL = `select from pg_replication_slots
where slot_name like 'millrace\\_%' and synced and not temporary and invalidation_reason is null`;
const INCIDENTS_SQL = `select e ->> 'id' as id from millrace.incident i, jsonb_array_elements(i.details -> 'events') e`;

/** A primary, its standby, and the address under which clients find whichever is to be the primary. */
interface Pair {
  readonly world: RowWorld;
  readonly standby: PostgresStandby;
  address: FaultProxy;
}

/** Every commit is on the standby before its producer hears of it, and before the slot hands it out. */
const SYNCHRONOUS = ["alter system set synchronous_standby_names = 'standby'", 'select pg_reload_conf()'];
const WAITING_SLOTS = [
  "select pg_create_physical_replication_slot('standby', true)",
  "alter system set synchronized_standby_slots = 'standby'",
  'select pg_reload_conf()',
];

export const FAIL_OVER_WITH_SLOT: CaptureRow = {
  id: '29a',
  title: 'fail-over to a synchronous standby that has the fail-over slot',
  modes: ['wal', 'auto'],
  async run(world) {
    const pair = await startPair(world);
    await runAll(world, [...WAITING_SLOTS, ...SYNCHRONOUS]);
    await followBySlot(pair);
    await world.begin();
    await setOnStandby(pair, ['sync_replication_slots = on']);
    const isSynced = await world.holds(SYNCED_MS, async () => {
      await world.query('select pg_log_standby_snapshot()'); // as the server does each 15 s: the slot may move on
      return (await onStandby(pair, SYNCED_SQL)) > 0;
    });
    if (!isSynced) {
      world.found('unmet', 'the standby did not get the slot');
    }
    await failOver(pair);
    await world.streams();
  },
};

export const FAIL_OVER_WITHOUT_SLOT: CaptureRow = {
  id: '29b',
  title: 'fail-over to a synchronous standby without slots',
  modes: BOTH_MODES,
  async run(world) {
    const pair = await startPair(world);
    await runAll(world, SYNCHRONOUS);
    await world.begin();
    await sleep(AT_WORK_MS);
    await failOver(pair);
    await world.streams();
  },
};

/** What was published and is gone from the database is listed by name; its positions are not given to others. */
export const FAIL_OVER_BEHIND: CaptureRow = {
  id: '29c',
  title: 'fail-over to an asynchronous standby that lacks the last commits',
  modes: BOTH_MODES,
  async run(world) {
    const pair = await startPair(world);
    await world.begin();
    await sleep(AT_WORK_MS);
    await pair.standby.cutOff();
    await sleep(LOST_MS);
    await world.settles();
    const mark = world.logMark();
    await failOver(pair);
    await world.tells(/repair/i, mark, TOLD_MS);
    await world.streams();
    const lost = new Set((await world.query<{ id: string }>(INCIDENTS_SQL)).map(({ id }) => id));
    world.note(`${lost.size} events that the database lost are listed`);
    if (lost.size === 0) {
      world.found('unmet', 'nothing that was published is listed as lost');
    }
    const kept = await world.query('select from millrace.outbox where id = any($1::uuid[])', [[...lost]]);
    if (kept.length > 0) {
      world.found('told', `${kept.length} of the events that are listed as lost are in the outbox`);
    }
    world.excuses(({ kind, text }) => kind === 'phantom' && lost.has(text.split(' ').at(-1) ?? ''));
  },
};

async function startPair(world: RowWorld): Promise<Pair> {
  const standby = await PostgresStandby.of(world.postgres, { shared_buffers: '128MB' });
  world.atEnd(async () => standby.remove());
  const address = await FaultProxy.start({ target: { port: world.postgres.port }, protocol: 'postgres' });
  const pair = { world, standby, address };
  world.atEnd(async () => pair.address.stop());
  world.moveTo(address.port);
  return pair;
}

/** The standby follows by a slot of its own, as it has to where it is to copy others. */
async function followBySlot(pair: Pair): Promise<void> {
  const conninfo = `host=127.0.0.1 port=${pair.world.postgres.port} user=postgres application_name=standby dbname=postgres`;
  const settings = [`primary_conninfo = '${conninfo}'`, "primary_slot_name = 'standby'", 'hot_standby_feedback = on'];
  await setOnStandby(pair, settings);
}

async function setOnStandby({ standby }: Pair, settings: readonly string[]): Promise<void> {
  await withClient(standby.adminUrl, async (client) => {
    for (const setting of settings) {
      await client.query(`alter system set ${setting}`);
    }
    await client.query('select pg_reload_conf()');
  });
}

/** The primary dies, the standby takes over, and the address leads to it. */
async function failOver(pair: Pair): Promise<void> {
  const { world, standby, address } = pair;
  await world.postgres.kill();
  await address.stop();
  await sleep(DOWN_MS);
  await standby.promote();
  pair.address = await FaultProxy.start({ target: { port: standby.port }, protocol: 'postgres', port: address.port });
  await world.recovers('the standby took over');
}

async function onStandby({ standby, world }: Pair, sql: string): Promise<number> {
  const database = new URL(world.databaseUrl).pathname.slice(1);
  return withClient(standby.databaseUrl(database), async (client) => (await client.query(sql)).rows.length);
}

async function runAll(world: RowWorld, statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    await world.query(statement);
  }
}
