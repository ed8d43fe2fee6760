import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type RelayProcess } from '../../harness/relay-process.js';
import { leaderOf } from '../capture/relay-at-work.js';
import { BARRIERS } from '../schedule.js';
import { type PublishScene } from './publish-row.js';
import { startRelay } from './publish-scene.js';
import { type ClaimHistory, repeatCause } from './repeat-cause.js';

const NAMES = ['a', 'b'] as const;
type Name = (typeof NAMES)[number];

/** Where the relay at work, or in the last one the relay that takes over, is killed. */
export const PLACES = ['anywhere', ...BARRIERS, 'mid-take-over'] as const;
export type Place = (typeof PLACES)[number];

/** What became of one kill. */
export interface Kill {
  /** Relays that were killed. */
  readonly kills: number;
  /** The place was reached in time; otherwise they were killed elsewhere. */
  readonly isReached: boolean;
}

/** So that a kill every few seconds meets a relay at work. */
const LEASE_MS = 1_500;
const REACH_MS = 15_000;

/**
 * Two relays on one route, each started again when it was killed. Repeats that should not be are findings, by what each
 * owner of the route saw when he took it over.
 */
export class KilledRelays {
  private readonly news = new EventEmitter();
  private readonly epochOf = new Map<Name, bigint>();
  private readonly killedAt = new Map<bigint, Place>();
  private readonly ends = new Map<string, bigint>();
  private claims = 0;

  private constructor(private readonly scene: PublishScene) {}

  static async start(scene: PublishScene): Promise<KilledRelays> {
    const relays = new KilledRelays(scene);
    relays.judgeRepeats();
    for (const name of NAMES) {
      await relays.start(name);
    }
    return relays;
  }

  /** Resolves when one of them runs the route. That it took too long is a finding, and the row goes on. */
  async areAtWork(): Promise<void> {
    const { world } = this.scene;
    await leaderOf(world).catch(async (error: unknown) => {
      world.found('late', error instanceof Error ? error.message : String(error));
      await leaderOf(world);
    });
  }

  /** Kills the relay at work, in `mid-take-over` the one that takes over from it as well. */
  async killAt(place: Place): Promise<Kill> {
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

  /** Says in the table of results what the take-overs were like. */
  note(): void {
    const { world } = this.scene;
    const lines = NAMES.flatMap((name) => readFileSync(world.logOf(name), 'utf8').split('\n'));
    const found = sumOf(lines, 'tails read', 'found');
    const late = sumOf(lines, 'records of an earlier owner came late', 'records');
    const lost = this.claims - this.killedAt.size - 1;
    world.note(
      `${this.claims} claims, ${lost} of them lost without a kill; ${found} events found in the lanes and not sent again; ` +
        `${late} records of a dead relay told as late`,
    );
  }

  private async start(name: Name): Promise<void> {
    await startRelay(this.scene, name, {
      preload: ['short-lease', 'take-over-barrier'],
      environment: { MILLRACE_FAULTS_LEASE_MS: String(LEASE_MS) },
      onLine: (line) => {
        this.heard(name, line);
        this.news.emit(`${name} ${line}`);
      },
    });
  }

  private heard(name: Name, line: string): void {
    const epoch = /^claimed (\d+)$/.exec(line)?.[1];
    if (epoch !== undefined) {
      this.claims += 1;
      this.epochOf.set(name, BigInt(epoch));
    }
    const [, lane, end] = /^read (\S+) to (\d+)$/.exec(line) ?? [];
    if (lane !== undefined && end !== undefined) {
      this.ends.set(`${this.epochOf.get(name) ?? ''} ${lane}`, BigInt(end));
    }
  }

  private async kill(name: Name, relay: RelayProcess, place: Place): Promise<void> {
    await relay.end('SIGKILL');
    const epoch = this.epochOf.get(name);
    if (epoch !== undefined) {
      this.killedAt.set(epoch, place);
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

  private judgeRepeats(): void {
    const { world } = this.scene;
    const history: ClaimHistory = {
      killedAt: this.killedAt,
      readTo: (epoch, lane) => this.ends.get(`${epoch} ${lane}`),
      isNumbered: world.setup.client === 'platformatic',
    };
    world.explains((repeat) => {
      const { text, isBroken } = repeatCause(repeat, history);
      if (isBroken) {
        world.found('repeated', `an event came again: ${text}`);
      }
      return text;
    });
  }
}

/** What the lines of a log that say `message` have as `count`, together. */
function sumOf(lines: readonly string[], message: string, count: string): number {
  return lines
    .filter((line) => line.includes(`"${message}"`))
    .reduce((sum, line) => sum + Number(Reflect.get(Object(JSON.parse(line)), count)), 0);
}
