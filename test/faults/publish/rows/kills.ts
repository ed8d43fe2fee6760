import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RelayProcess } from '../../../harness/relay-process.js';
import { leaderOf } from '../../capture/relay-at-work.js';
import { countText } from '../../run-report.js';
import { BARRIERS } from '../../schedule.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';
import { beginLoad, startRelay } from '../publish-scene.js';

const NAMES = ['a', 'b'] as const;
type Name = (typeof NAMES)[number];

/** Where the relay at work, or in the last one the relay that takes over, is killed. */
const PLACES = ['anywhere', ...BARRIERS, 'mid-take-over'] as const;
type Place = (typeof PLACES)[number];

const KILLS = Number(process.env['MILLRACE_FAULTS_KILLS'] ?? 200);
/** So that a kill every few seconds meets a relay at work. */
const LEASE_MS = 1_500;
const EVENTS_PER_SECOND = 200;
const PAUSE_MS = 1_000;
const REACH_MS = 15_000;

/** Two relays on one route, each started again when it was killed; knows by what which epoch has ended. */
class KilledRelays {
  readonly endOf = new Map<bigint, string>();
  private readonly news = new EventEmitter();
  private readonly epochOf = new Map<Name, bigint>();

  constructor(private readonly scene: PublishScene) {}

  async start(name: Name): Promise<void> {
    await startRelay(this.scene, name, {
      preload: ['short-lease', 'take-over-barrier'],
      environment: { MILLRACE_FAULTS_LEASE_MS: String(LEASE_MS) },
      onLine: (line) => {
        const epoch = /^claimed (\d+)$/.exec(line)?.[1];
        if (epoch !== undefined) {
          this.epochOf.set(name, BigInt(epoch));
        }
        this.news.emit(`${name} ${line}`);
      },
    });
  }

  /** How many were killed, and whether the place was reached in time; otherwise they were killed elsewhere. */
  async killAt(place: Place): Promise<{ readonly kills: number; readonly isReached: boolean }> {
    const { name, relay } = await leaderOf(this.scene.world);
    const leader: Name = name === 'a' ? 'a' : 'b';
    if (place !== 'mid-take-over') {
      const isReached = place === 'anywhere' || (await this.reach(leader, relay, place));
      await this.kill(leader, relay, place);
      await this.start(leader);
      return { kills: 1, isReached };
    }
    const standby: Name = leader === 'a' ? 'b' : 'a';
    const next = this.scene.world.relay(standby);
    const reached = this.reach(standby, next, place);
    await this.kill(leader, relay, 'anywhere');
    const isReached = await reached;
    await this.kill(standby, next, place);
    await this.start(leader);
    await this.start(standby);
    return { kills: 2, isReached };
  }

  private async kill(name: Name, relay: RelayProcess, place: Place): Promise<void> {
    await relay.end('SIGKILL');
    const epoch = this.epochOf.get(name);
    if (epoch !== undefined) {
      this.endOf.set(epoch, place);
    }
  }

  private async reach(name: Name, relay: RelayProcess, place: Place): Promise<boolean> {
    const reached = once(this.news, `${name} reached ${place}`, { signal: AbortSignal.timeout(REACH_MS) });
    relay.tell(place);
    return reached.then(
      () => true,
      () => false,
    );
  }
}

/** The epoch grows with each take-over. A copy that the next owner has sent is one that he should have found. */
function judgeRepeats({ world }: PublishScene, relays: KilledRelays): void {
  world.explains(({ firstEpoch, epoch }) => {
    if (epoch < firstEpoch) {
      return 'stored late, by a relay that was dead';
    }
    const cause =
      epoch === firstEpoch ? 'sent again by the same relay' : `after a kill ${relays.endOf.get(firstEpoch) ?? '?'}`;
    world.found('repeated', `an event came again ${cause}`);
    return cause;
  });
}

export const KILLED_AND_ONE_COPY: PublishRow = {
  id: 'D2',
  title: `relays SIGKILLed ${KILLS} times: anywhere, and at each barrier; the topic has one copy of each event`,
  async run(scene) {
    const { world } = scene;
    const relays = new KilledRelays(scene);
    judgeRepeats(scene, relays);
    for (const name of NAMES) {
      await relays.start(name);
    }
    await beginLoad(scene, EVENTS_PER_SECOND);
    const places: Place[] = [];
    let missed = 0;
    for (let kills = 0; kills < KILLS;) {
      const place = PLACES[world.random.below(PLACES.length)] ?? 'anywhere';
      await sleep(world.random.below(PAUSE_MS));
      const done = await relays.killAt(place);
      kills += done.kills;
      places.push(place);
      missed += Number(!done.isReached);
    }
    scene.lanes.end();
    await world.recovers('the last kill');
    world.note(`${countText(places)}; ${missed} places not reached in time`);
    if (missed > places.length / 4) {
      world.found('unmet', `${missed} of ${places.length} kills did not meet their place`);
    }
  },
};
