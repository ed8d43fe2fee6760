import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RelayProcess } from '../../../harness/relay-process.js';
import { leaderOf } from '../../capture/relay-at-work.js';
import { type Barrier } from '../../schedule.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';
import { beginLoad, startRelay } from '../publish-scene.js';

const NAMES = ['a', 'b'] as const;
/** So that a kill every few seconds meets a relay at work. */
const LEASE_MS = 1_500;
const KILLS = 8;
const KILL_EVERY_MS = 3_000;
const REACH_MS = 10_000;

type Name = (typeof NAMES)[number];

/** Two relays on one route, each started again when it was killed. */
class KilledPair {
  private readonly news = new EventEmitter();

  constructor(private readonly scene: PublishScene) {}

  async start(name: Name): Promise<void> {
    await startRelay(this.scene, name, {
      preload: ['short-lease', 'barriers'],
      environment: { MILLRACE_FAULTS_LEASE_MS: String(LEASE_MS) },
      onLine: (line) => {
        this.news.emit(line);
      },
    });
  }

  /** Kills the relay at work, at a barrier where one is given; false when it did not get there in time. */
  async killLeader(barrier?: Barrier): Promise<boolean> {
    const { name, relay } = await leaderOf(this.scene.world);
    const isReached = barrier === undefined || (await this.reach(relay, barrier));
    await relay.end('SIGKILL');
    await this.start(name === 'a' ? 'a' : 'b');
    return isReached;
  }

  private async reach(relay: RelayProcess, barrier: Barrier): Promise<boolean> {
    const reached = once(this.news, `reached ${barrier}`, { signal: AbortSignal.timeout(REACH_MS) });
    relay.tell(barrier);
    return reached.then(
      () => true,
      () => false,
    );
  }
}

async function killAgainAndAgain(scene: PublishScene, barrier?: Barrier): Promise<void> {
  const { world } = scene;
  world.explains(() => 'after SIGKILL');
  const pair = new KilledPair(scene);
  for (const name of NAMES) {
    await pair.start(name);
  }
  await beginLoad(scene);
  let reached = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    await sleep(barrier === undefined ? world.random.below(2 * KILL_EVERY_MS) : KILL_EVERY_MS);
    reached += Number(await pair.killLeader(barrier));
  }
  scene.lanes.end();
  await world.recovers('the last kill');
  world.note(barrier === undefined ? `${KILLS} kills` : `${reached} of ${KILLS} kills at the barrier`);
  if (reached === 0) {
    world.found('unmet', `no relay got to the barrier ${barrier ?? ''}`);
  }
}

export const RELAY_KILLED: PublishRow = {
  id: '1',
  title: 'the relay at work SIGKILLed at random, every 3 s on average, another one takes over',
  async run(scene) {
    await killAgainAndAgain(scene);
  },
};

export const KILLED_BEFORE_LEDGER: PublishRow = {
  id: '2',
  title: 'the relay at work SIGKILLed after the acknowledgement, before the ledger is written',
  async run(scene) {
    await killAgainAndAgain(scene, 'before-ledger');
  },
};

export const KILLED_AFTER_LEDGER: PublishRow = {
  id: '3',
  title: 'the relay at work SIGKILLed after the ledger is written, before the slot is told',
  async run(scene) {
    await killAgainAndAgain(scene, 'after-ledger');
  },
};
