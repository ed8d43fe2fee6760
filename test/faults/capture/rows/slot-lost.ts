import { setTimeout as sleep } from 'node:timers/promises';
import { type CaptureRow } from '../capture-row.js';
import { ownEventsSql } from '../own-events.js';
import { type RowWorld } from '../row-world.js';
import { endWalsenders, floodWal, requireInvalidated, slotsOf } from '../slots.js';

const KEPT_MIB = 32;
const IDLE_S = 2;
const AWAY_MS = 2_000;

/** The relay stands still while more WAL is written than the server keeps for its slot. */
export const SLOT_WAL_REMOVED: CaptureRow = {
  id: '24',
  title: 'max_slot_wal_keep_size exceeded: the slot is lost',
  modes: ['wal', 'auto'],
  postgresSettings: { max_slot_wal_keep_size: `${KEPT_MIB}MB`, min_wal_size: '32MB', max_wal_size: '48MB' },
  async run(world) {
    await world.begin();
    const relay = world.relay();
    relay.send('SIGSTOP');
    await floodWal(world, 3 * KEPT_MIB);
    await floodWal(world, KEPT_MIB);
    await requireInvalidated(world, 'wal_removed');
    const mark = world.logMark();
    relay.send('SIGCONT');
    await world.recovers('the relay goes on');
    await world.tells(/"slot":"invalidated".*max_slot_wal_keep_size/, mark);
    await world.streams();
  },
};

/** A relay that was away for longer than the server keeps an idle slot. */
export const SLOT_IDLE: CaptureRow = {
  id: '25',
  title: 'idle_replication_slot_timeout: the slot is lost',
  modes: ['wal', 'auto'],
  postgresSettings: { idle_replication_slot_timeout: `${IDLE_S}s` },
  async run(world) {
    await world.begin();
    await world.relay().end('SIGKILL');
    await world.holds(10_000, async () => (await slotsOf(world)).every(({ active_pid: pid }) => pid === null));
    await sleep((IDLE_S + 2) * 1_000);
    await world.query('checkpoint');
    await requireInvalidated(world, 'idle_timeout');
    await world.startRelay('relay');
    await world.recovers('the start of the relay');
    await world.tells(/"slot":"invalidated".*idle_replication_slot_timeout/, new Map());
    await world.streams();
  },
};

const DROP_SLOTS_SQL = `select pg_drop_replication_slot(slot_name) from pg_replication_slots
where slot_name like 'millrace\\_%' and active_pid is null`;
const ADVANCE_SQL = `select pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) from pg_replication_slots
where slot_name like 'millrace\\_%' and active_pid is null`;
const MAKE_AGAIN_SQL = "select pg_create_logical_replication_slot($1, 'pgoutput')";

/** An operator drops the slot, advances it, and makes another one with its name: each time under load. */
export const SLOT_MEDDLED: CaptureRow = {
  id: '26',
  title: 'slot dropped, advanced, and made again by an operator',
  modes: ['wal', 'auto'],
  async run(world) {
    await world.begin();
    await meddle(world, 'dropped', async () => (await world.query(DROP_SLOTS_SQL)).length > 0);
    await meddle(world, 'advanced', async () => (await world.query(ADVANCE_SQL)).length > 0);
    await meddleAway(world, 'advanced while the relay was away', async () => {
      await world.query(ADVANCE_SQL);
    });
    await meddleAway(world, 'made again while the relay was away', async () => {
      const [slot] = await slotsOf(world);
      await world.query(DROP_SLOTS_SQL);
      await world.query(MAKE_AGAIN_SQL, [slot?.slot_name]);
    });
  },
};

/** The reader is ended, and before it comes back its slot is meddled with. */
async function meddle(world: RowWorld, what: string, act: () => Promise<boolean>): Promise<void> {
  const mark = world.logMark();
  const isDone = await world.holds(10_000, async () => {
    await endWalsenders(world);
    return act();
  });
  if (!isDone) {
    world.found('unmet', `the slot could not be ${what}`);
  }
  await world.recovers(`the slot was ${what}`);
  await world.tells(/"reading":"table".*capture changed/, mark);
  await world.streams();
}

/** Events are committed that only the table knows of once the slot is where the operator put it. */
async function meddleAway(world: RowWorld, what: string, act: () => Promise<void>): Promise<void> {
  await world.relay().end('SIGKILL');
  await world.holds(10_000, async () => (await slotsOf(world)).every(({ active_pid: pid }) => pid === null));
  await world.query(ownEventsSql({ name: what.replaceAll(' ', '-'), keys: 10, versions: 5 }));
  await sleep(AWAY_MS);
  await act();
  await world.startRelay('relay');
  await world.recovers(`the slot was ${what}`);
  await world.streams();
}
