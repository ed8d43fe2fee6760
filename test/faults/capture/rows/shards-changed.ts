import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { type RowWorld } from '../row-world.js';

/** Of topics of four partitions; the last one is what the row began with. */
const NUMBERS = [2, 4, 2, 1];
/** A killed relay's lease runs for 6 s, and its drained shards are claimed once more. */
const CHANGED_WITHIN_MS = 40_000;

interface ShardsView {
  readonly shards: number;
  readonly wanted: number | null;
}

async function change(world: RowWorld, shards: number, isRelayKilled: boolean): Promise<void> {
  const [route] = world.routes;
  const path = `routes/${route?.name ?? ''}/shards`;
  const startedMs = performance.now();
  await world.relay('a').admin('PUT', path, { shards, reason: 'row 67' });
  if (isRelayKilled) {
    await world.relay('b').end('SIGKILL');
  }
  const isDone = await world.holds(CHANGED_WITHIN_MS, async () => {
    const now = (await world.relay('a').admin('GET', path)) as ShardsView;
    return now.shards === shards && now.wanted === null;
  });
  if (!isDone) {
    world.found('late', `the change to ${shards} shards has not ended within ${CHANGED_WITHIN_MS / 1_000} s`);
  }
  const killed = isRelayKilled ? ', a relay killed in it' : '';
  world.note(`${shards} shards after ${((performance.now() - startedMs) / 1_000).toFixed(1)} s${killed}`);
  await world.recovers(`the change to ${shards} shards`);
}

/** What was in flight when a claim ended comes again, under a later epoch. */
export const SHARDS_CHANGED: CaptureRow = {
  id: '67',
  title: 'shards changed from 1 to 2 to 4 to 2 to 1 under load, a relay killed in the second change',
  modes: BOTH_MODES,
  async run(world) {
    world.explains(({ firstEpoch, epoch }) => (epoch > firstEpoch ? 'a claim ended' : 'within a claim'));
    await world.begin({ relays: ['a', 'b'] });
    for (const [step, shards] of NUMBERS.entries()) {
      const isRelayKilled = step === 1;
      await change(world, shards, isRelayKilled);
      if (isRelayKilled) {
        await world.startRelay('b');
      }
    }
    await world.streams();
  },
};
