import { setTimeout as sleep } from 'node:timers/promises';
import { withClient } from '../../../harness/servers.js';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { ownEventsSql } from '../own-events.js';
import { leaderOf } from '../relay-at-work.js';
import { type RowWorld } from '../row-world.js';

const HELD = { name: 'held', keys: 5, versions: 4 };
const HOLD_MS = 15_000;
/** What others commit meanwhile is published as ever. */
const OTHERS_MS = 5_000;
const FREEZES = 20;
const FREEZE_MS = 400;
/** A statement ends at the server without its client; after that only a forgotten transaction could still be there. */
const ENDED_MS = 250;
const STANDING_SQL = `select application_name as name, round(extract(epoch from clock_timestamp() - state_change) * 1000)::int as ms
from pg_stat_activity where usename = 'relay_under_test' and state like 'idle in transaction%'
  and clock_timestamp() - state_change > interval '200 milliseconds'`;

/** A producer stands still between its insert and its commit: as the server sees one that is frozen. */
async function holdProducer(world: RowWorld): Promise<void> {
  await withClient(world.databaseUrl, async (client) => {
    await client.query('begin');
    await client.query(ownEventsSql(HELD));
    const startedMs = performance.now();
    let slowestMs = 0;
    while (performance.now() - startedMs < HOLD_MS) {
      const tookMs = await world.settles(OTHERS_MS);
      slowestMs = Math.max(slowestMs, tookMs ?? OTHERS_MS);
      if (tookMs === undefined) {
        world.found('bounded', `an event of another transaction was not published within ${OTHERS_MS / 1_000} s`);
        break;
      }
    }
    world.note(`others published within ${(slowestMs / 1_000).toFixed(1)} s beside a frozen producer`);
    await client.query('commit');
  });
}

/** Wherever a relay is frozen, it leaves no transaction open in the producers' database. */
async function freezeRelay(world: RowWorld): Promise<void> {
  const { relay } = await leaderOf(world);
  for (let time = 0; time < FREEZES; time += 1) {
    await sleep(world.random.below(200));
    relay.send('SIGSTOP');
    await sleep(ENDED_MS);
    const standing = await world.query<{ name: string; ms: number }>(STANDING_SQL);
    await sleep(FREEZE_MS - ENDED_MS);
    relay.send('SIGCONT');
    standing.forEach(({ name, ms }) => {
      world.found('bounded', `"${name}" of a frozen relay stands in a transaction for ${ms} ms`);
    });
  }
}

export const FROZEN_HOLDER: CaptureRow = {
  id: '58',
  title: 'holder frozen inside a transaction: a producer for 15 s, the relay at 20 random moments',
  modes: BOTH_MODES,
  async run(world) {
    await world.begin();
    await holdProducer(world);
    await world.recovers('the commit of the frozen producer');
    await freezeRelay(world);
    await world.recovers();
    await world.streams();
  },
};
