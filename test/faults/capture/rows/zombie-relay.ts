import { EventEmitter, once } from 'node:events';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { LedgerHistory } from '../ledger-history.js';
import { leaderOf, standsBy } from '../relay-at-work.js';
import { type RowWorld } from '../row-world.js';

/** More than twice the lease, so that the other one has published for a while when the zombie goes on. */
const FROZEN_MS = 15_000;
/** The same by the database's clock, from the last word of the former owner. */
const TAKEN_OVER_MS = 10_000;
/** Long enough for the zombie to try all that it still had in hand, and to join again. */
const AFTERWARDS_MS = 5_000;
const BLOCKED_LOOP = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'preload', 'blocked-loop.js');

/** The relay that runs the route is absent for longer than its lease; `absent` resolves when it is back. */
async function isReplaced(world: RowWorld, absent: (relay: string) => Promise<void>): Promise<void> {
  const history = await LedgerHistory.begin(world);
  const { name } = await leaderOf(world);
  await standsBy(world, name === 'a' ? 'b' : 'a');
  const [claim] = await history.claims();
  const since = await history.now();
  const back = absent(name);
  const tookMs = claim && (await history.publishedAgain(claim, since, FROZEN_MS));
  if (tookMs === undefined || tookMs > TAKEN_OVER_MS) {
    world.found('late', `the other relay published after ${tookMs ?? `more than ${FROZEN_MS}`} ms`);
  } else {
    world.note(`published by the other relay after ${(tookMs / 1_000).toFixed(1)} s`);
  }
  await back;
  await world.recovers();
  await sleep(AFTERWARDS_MS);
  await world.streams();
  await history.check();
}

/** The other relay takes the route over; the frozen one wakes up in the middle of what it did. */
export const FROZEN_RELAY: CaptureRow = {
  id: '4',
  title: 'SIGSTOP of the relay at work for 15 s, the other one takes over, SIGCONT',
  modes: BOTH_MODES,
  async run(world) {
    world.explains(() => 'after SIGSTOP');
    await world.begin({ relays: ['a', 'b'] });
    await isReplaced(world, async (name) => {
      world.relay(name).send('SIGSTOP');
      await sleep(FROZEN_MS);
      world.relay(name).send('SIGCONT');
    });
  },
};

/** As if frozen, but its sockets are read and answered by the kernel, and timers that are due fire at once afterwards. */
export const BLOCKED_RELAY: CaptureRow = {
  id: '5',
  title: 'event loop of the relay at work blocked for 15 s',
  modes: BOTH_MODES,
  async run(world) {
    world.explains(() => 'after the blocked loop');
    const news = new EventEmitter();
    for (const name of ['a', 'b']) {
      await world.startRelay(name, {
        nodeArguments: ['--enable-source-maps', `--import=${BLOCKED_LOOP}`],
        onLine: (line) => {
          news.emit(line);
        },
      });
    }
    await world.begin({ relays: [] });
    await isReplaced(world, async (name) => {
      const unblocked = once(news, 'unblocked');
      world.relay(name).tell(`block ${FROZEN_MS}`);
      await unblocked;
    });
  },
};
