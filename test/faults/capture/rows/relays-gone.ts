import { setTimeout as sleep } from 'node:timers/promises';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { leaderOf } from '../relay-at-work.js';
import { type RowWorld } from '../row-world.js';

const NAMES = ['a', 'b'];
const DOWN_MS = 20_000;
const TERMINATIONS = 3;
const BETWEEN_MS = 4_000;
/** After that a supervisor of services kills. */
const DRAINED_MS = 10_000;
const RETAINED_SQL = `select coalesce(max(pg_current_wal_lsn() - restart_lsn), 0)::bigint::text as bytes,
  count(*)::int as slots from pg_replication_slots`;

/** Producers go on meanwhile; a slot keeps its WAL. */
export const BOTH_KILLED: CaptureRow = {
  id: '6',
  title: 'SIGKILL of both relays at once, started again 20 s later (the matrix says 60)',
  modes: BOTH_MODES,
  async run(world) {
    world.explains(() => 'after SIGKILL');
    await world.begin({ relays: NAMES });
    await Promise.all(NAMES.map(async (name) => world.relay(name).end('SIGKILL')));
    await sleep(DOWN_MS);
    const [retained] = await world.query<{ bytes: string; slots: number }>(RETAINED_SQL);
    if (retained !== undefined && retained.slots > 0) {
      world.note(`${Math.round(Number(retained.bytes) / 1_048_576)} MiB of WAL kept meanwhile`);
    }
    await Promise.all(NAMES.map(async (name) => world.startRelay(name)));
    await world.recovers('both relays were started again');
    await world.streams();
  },
};

/** Stopped in order: what was in flight is finished and settled, so nothing of it comes again. */
export const TERMINATED: CaptureRow = {
  id: '7',
  title: 'SIGTERM under load, three times',
  modes: BOTH_MODES,
  async run(world) {
    world.allowsNoRepeats();
    await world.begin({ relays: NAMES, eventsPerSecond: 800 });
    for (let time = 0; time < TERMINATIONS; time += 1) {
      await terminateLeader(world);
      await sleep(BETWEEN_MS);
    }
    await world.streams();
  },
};

async function terminateLeader(world: RowWorld): Promise<void> {
  const { name, relay } = await leaderOf(world);
  const startedMs = performance.now();
  await relay.end('SIGTERM');
  const tookMs = Math.round(performance.now() - startedMs);
  world.note(`ended after ${tookMs} ms with ${relay.exitCode ?? 'a signal'}`);
  if (tookMs > DRAINED_MS || relay.exitCode !== 0) {
    world.found('late', `the relay ended after ${tookMs} ms with exit code ${relay.exitCode ?? 'none'}`);
  }
  await world.startRelay(name);
  await world.recovers('SIGTERM');
}
