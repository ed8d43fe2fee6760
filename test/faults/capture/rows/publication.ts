import { setTimeout as sleep } from 'node:timers/promises';
import { withClient } from '../../../harness/servers.js';
import { type CaptureRow } from '../capture-row.js';
import { slotsOf } from '../slots.js';

const GONE_MS = 3_000;
const NOISE_MS = 15_000;
const NOISE_MIB_EACH = 8;
const RETAINED_MIB_MAX = 32;
const CALM_MS = 15_000;

/** PostgreSQL 18 passes over what was written while there was no publication, in silence. */
export const PUBLICATION_GONE: CaptureRow = {
  id: '27',
  title: 'publication dropped under load, and made again by an operator',
  modes: ['wal', 'auto'],
  async run(world) {
    await world.begin();
    const mark = world.logMark();
    await world.query('drop publication millrace');
    await sleep(GONE_MS);
    await world
      .query(
        "create publication millrace for table millrace.outbox with (publish = 'insert, update, delete, truncate')",
      )
      .catch(() => undefined); // the relay has made it already
    await world.recovers('the publication was made again');
    await world.tells(/publication/, mark, 30_000);
    await world.streams();
  },
};

/** Nothing is written to the outbox, and much to another database of the cluster: the slot must not hold its WAL. */
export const IDLE_PUBLICATION: CaptureRow = {
  id: '30',
  title: 'idle outbox while another database writes WAL: the slot moves on',
  modes: ['wal', 'auto'],
  async run(world) {
    await world.begin();
    await world.endLoad();
    await world.query('create database noise');
    const deadlineMs = performance.now() + NOISE_MS;
    let written = 0;
    await withClient(world.postgres.databaseUrl('noise'), async (client) => {
      await client.query('create table noise (text text)');
      while (performance.now() < deadlineMs) {
        await client.query("insert into noise select repeat('x', 1000) from generate_series(1, $1::int * 1000)", [
          NOISE_MIB_EACH,
        ]);
        written += NOISE_MIB_EACH;
        await sleep(500);
      }
    });
    world.note(`${written} MiB written`);
    const retained = async (): Promise<number> =>
      Math.max(...(await slotsOf(world)).map(({ retained_bytes: bytes }) => Number(bytes ?? 0)), 0) / 1_048_576;
    const isFree = await world.holds(CALM_MS, async () => (await retained()) < RETAINED_MIB_MAX);
    world.note(`${Math.round(await retained())} MiB held`);
    if (!isFree) {
      world.found('bounded', `the slot holds ${Math.round(await retained())} MiB`);
    }
    if (!(await world.areRead('stream'))) {
      world.found('late', 'the route is not read from the stream any more');
    }
  },
};
