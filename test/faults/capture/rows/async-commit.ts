import type pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { ownEventsSql } from '../own-events.js';
import { type RowWorld } from '../row-world.js';

const CRASHES = 4;
const AT_WORK_MS = 2_000;
const FROZEN_MS = 500;
const LAST_OWN_SQL = "select coalesce(max(version), 0)::int as version from truth where key = 'async-0'";

/** Producers that do not wait for the disk: a crash takes back what was visible, and its positions are used again. */
export const ASYNC_COMMIT: CaptureRow = {
  id: '55',
  title: 'synchronous_commit = off, SIGKILL of PostgreSQL, positions used again',
  modes: BOTH_MODES,
  postgresSettings: { wal_writer_delay: '5s', wal_writer_flush_after: '1GB' },
  async run(world) {
    await world.query('alter database faults set synchronous_commit = off');
    await world.begin();
    let takenBack = 0;
    for (let crash = 0; crash < CRASHES; crash += 1) {
      takenBack += await crashUnder(world, crash % 2 === 0);
      await world.recovers('the start of PostgreSQL');
      await world.streams();
    }
    world.note(`${takenBack} own commits taken back`);
    if (takenBack === 0) {
      world.found('unmet', 'no crash took a commit back');
    }
  },
};

/**
 * Commits as fast as it goes until the server is killed; returns how many of the commits are gone afterwards. Each ledger
 * write of the relay brings what was committed before onto the disk: a relay that stands still lets a crash take more.
 */
async function crashUnder(world: RowWorld, isRelayFrozen: boolean): Promise<number> {
  const client = await world.connect();
  const version = await lastVersion(client);
  let committed = version;
  const killed = killAfterWork(world, isRelayFrozen);
  try {
    for (;;) {
      await client.query(ownEventsSql({ name: 'async', keys: 1, versions: 1, from: committed + 1 }));
      committed += 1;
    }
  } catch {
    await killed;
  }
  await world.postgres.start();
  const again = await world.connect();
  const kept = await lastVersion(again);
  await again.end();
  return Math.max(0, committed - kept);
}

async function killAfterWork(world: RowWorld, isRelayFrozen: boolean): Promise<void> {
  await sleep(AT_WORK_MS);
  if (isRelayFrozen) {
    world.relay().send('SIGSTOP');
    await sleep(FROZEN_MS);
  }
  await world.postgres.kill();
  world.relay().send('SIGCONT');
}

async function lastVersion(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ version: number }>(LAST_OWN_SQL);
  return rows[0]?.version ?? 0;
}
