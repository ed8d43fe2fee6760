import { setTimeout as sleep } from 'node:timers/promises';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { ownEventsSql } from '../own-events.js';

const OPEN_MS = 15_000;
const HELD_MS = 10_000;

/** The server makes no slot before all transactions that were open have ended: the table is read meanwhile. */
export const SLOT_BEHIND_TRANSACTION: CaptureRow = {
  id: '59',
  title: 'slot made behind an open transaction: publishing goes on meanwhile',
  modes: ['wal', 'auto'],
  async run(world) {
    await world.query('create table busy (id int)');
    const open = await world.connect();
    await open.query('begin; insert into busy values (1)');
    await world.startRelay('relay');
    await world.startLoad();
    await world.recovers('the start');
    await world.tells(/"slot":"creating".*capture changed/, new Map(), OPEN_MS);
    await sleep(OPEN_MS);
    await world.recovers('15 s behind the transaction');
    if (await world.areRead('stream')) {
      world.found('unmet', 'the slot did not wait for the open transaction');
    }
    await open.query('commit');
    await world.streams();
    await world.recovers('the hand-over');
  },
};

/**
 * A commit is on the disk and in the WAL, and not visible while its standby is missing: a reading of the table that finds
 * nothing is no reason to confirm the WAL.
 */
export const SYNC_STANDBY_MISSING: CaptureRow = {
  id: '60',
  title: 'start with a commit held by a missing synchronous standby: nothing is confirmed over it',
  modes: BOTH_MODES,
  async run(world) {
    await world.query('alter database faults set synchronous_commit = local');
    await world.begin();
    await world.relay().end('SIGTERM');
    await world.query("alter system set synchronous_standby_names = 'absent'");
    await world.query('select pg_reload_conf()');
    const held = await world.connect();
    await held.query('set synchronous_commit = on');
    const committing = held.query(ownEventsSql({ name: 'held', keys: 4, versions: 3 }));
    const isHeld = await world.holds(HELD_MS, async () => {
      const waiting = await world.query("select from pg_stat_activity where wait_event = 'SyncRep'");
      return waiting.length > 0;
    });
    if (!isHeld) {
      world.found('unmet', 'the commit did not wait for its standby');
    }
    await world.startRelay('relay');
    await world.recovers('the start, beside the held commit');
    await sleep(HELD_MS);
    await world.query('alter system reset synchronous_standby_names');
    await world.query('select pg_reload_conf()');
    await committing;
    await world.recovers('the commit was let go');
    await world.streams();
  },
};
