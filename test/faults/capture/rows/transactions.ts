import { setTimeout as sleep } from 'node:timers/promises';
import { peakMemoryMiB } from '../../../harness/process-usage.js';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { ownEventsSql } from '../own-events.js';
import { type RowWorld } from '../row-world.js';

const OPEN_MS = 15_000;
const OVERTAKING_PER_SECOND = 500;
const SUBTRANSACTIONS = 100;
const BIG = { name: 'big', keys: 1_000, versions: 200, fillerBytes: 200 };
const BIG_WITHIN_MS = 90_000;
/** Of a relay that has its three pages of 8 MiB and what the Kafka client has in flight; the transaction is more. */
const BIG_MEMORY_MIB = 400;

/** What was committed beside an open transaction is published at once; the open one's rows when it ends. */
export const LONG_TRANSACTION: CaptureRow = {
  id: '18',
  title: 'thousands of commits overtake an open transaction',
  modes: ['polling', 'wal', 'auto'],
  async run(world) {
    await world.begin({ eventsPerSecond: OVERTAKING_PER_SECOND });
    const slow = await world.connect();
    await slow.query(`begin; ${ownEventsSql({ name: 'slow', keys: 5, versions: 3 })}`);
    const overtaken = await world.lastCommitted();
    for (let waitedMs = 0; waitedMs < OPEN_MS; waitedMs += OPEN_MS / 3) {
      await sleep(OPEN_MS / 3);
      await requirePublished(world, 'the load beside the open transaction');
    }
    world.note(`${(await world.lastCommitted()) - overtaken} positions overtook`);
    await slow.query('commit');
    await world.recovers('the commit');
  },
};

/** Positions of savepoints that are rolled back never come; those beside them in the same transaction do. */
export const SAVEPOINTS: CaptureRow = {
  id: '19',
  title: `${SUBTRANSACTIONS} savepoints in a transaction, every other one rolled back`,
  modes: BOTH_MODES,
  async run(world) {
    await world.begin();
    for (let transaction = 0; transaction < 6; transaction += 1) {
      await writeSavepoints(world, `sub-${transaction}`, transaction % 3 === 2 ? 'rollback' : 'commit');
    }
    await world.recovers('the last transaction');
    world.allowsNoRepeats();
  },
};

async function writeSavepoints(world: RowWorld, name: string, end: 'commit' | 'rollback'): Promise<void> {
  const client = await world.connect();
  await client.query('begin');
  for (let savepoint = 0, version = 1; savepoint < SUBTRANSACTIONS; savepoint += 1) {
    await client.query(`savepoint s; ${ownEventsSql({ name, keys: 1, versions: 2, from: version })}`);
    const isKept = savepoint % 2 === 0;
    await client.query(isKept ? 'release savepoint s' : 'rollback to savepoint s');
    version += isKept ? 2 : 0;
  }
  await client.query(end);
  await client.end();
}

export const BIG_TRANSACTION: CaptureRow = {
  id: '20',
  title: `one transaction with ${BIG.keys * BIG.versions} events`,
  modes: BOTH_MODES,
  async run(world) {
    await world.begin({ eventsPerSecond: 100 });
    const pid = [...world.relays.values()][0]?.pid ?? 0;
    const beforeMiB = peakMemoryMiB(pid);
    await world.query(ownEventsSql(BIG));
    const tookMs = await world.settles(BIG_WITHIN_MS);
    if (tookMs === undefined) {
      world.found('late', `it was not published within ${BIG_WITHIN_MS / 1_000} s`);
    }
    world.note(`published within ${Math.round((tookMs ?? BIG_WITHIN_MS) / 1_000)} s of the commit`);
    const afterMiB = peakMemoryMiB(pid);
    world.note(`most memory ${Math.round(beforeMiB)} MiB before, ${Math.round(afterMiB)} MiB after`);
    if (afterMiB > BIG_MEMORY_MIB) {
      world.found('bounded', `the relay had ${Math.round(afterMiB)} MiB`);
    }
    world.allowsNoRepeats();
  },
};

/** Prepared transactions outlive their sessions, and a crash of the server. */
export const PREPARED: CaptureRow = {
  id: '21',
  title: 'prepared transactions, one committed after a crash of the server, one rolled back',
  modes: BOTH_MODES,
  async run(world) {
    await world.begin();
    const client = await world.connect();
    await client.query(`begin; ${ownEventsSql({ name: 'kept', keys: 3, versions: 3 })}`);
    await client.query("prepare transaction 'kept'");
    await client.query(`begin; ${ownEventsSql({ name: 'dropped', keys: 3, versions: 3 })}`);
    await client.query("prepare transaction 'dropped'");
    await sleep(OPEN_MS / 3);
    await requirePublished(world, 'the load beside prepared transactions');
    await world.postgres.kill();
    await world.postgres.start();
    await world.recovers('the start of PostgreSQL');
    await world.query("rollback prepared 'dropped'");
    await sleep(OPEN_MS / 3);
    await requirePublished(world, 'the load beside a prepared transaction');
    await world.query("commit prepared 'kept'");
    await world.recovers('the commit');
    await world.streams();
  },
};

async function requirePublished(world: RowWorld, what: string): Promise<void> {
  if ((await world.settles()) === undefined) {
    world.found('late', `${what} was not published`);
  }
}
