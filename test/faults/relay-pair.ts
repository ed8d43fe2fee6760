import { EventEmitter, once } from 'node:events';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '@millrace/testing';
import { type KafkaClient, RelayProcess, type RelayRoute } from '../harness/relay-process.js';
import { type Barrier } from './schedule.js';

/** How the relays of a fault run are set up. */
export interface RelayPairOptions {
  readonly folder: string;
  readonly databaseUrl: string;
  readonly brokers: readonly string[];
  readonly client: KafkaClient;
  readonly route: RelayRoute;
  readonly leaseMs: number;
  /** The fault put in on purpose, by which the check is tried. */
  readonly isAckingEarly: boolean;
}

/** One place of the two, in which a relay runs unless it has just been killed. */
interface Place {
  readonly name: string;
  readonly port: number;
  relay: RelayProcess | undefined;
}

const LEADER_WAIT_MS = 30_000;
const BARRIER_WAIT_MS = 10_000;
const CRASH_PAUSE_MS = 1_000;

/** Two relays on the same route. A supervisor, in other words the harness, starts each again after it was killed. */
export class RelayPair {
  private readonly places: Place[] = [];
  private readonly news = new EventEmitter();
  private leading: RelayProcess | undefined;
  private readonly killed = new WeakSet<RelayProcess>();
  private readonly restarts = new Set<Promise<void>>();
  private isStopping = false;
  private takeOverCount = 0;
  private crashCount = 0;
  private readonly epochs = new Map<RelayProcess, bigint>();
  private readonly ends = new Map<bigint, string>();

  private constructor(private readonly options: RelayPairOptions) {}

  static async start(options: RelayPairOptions): Promise<RelayPair> {
    const pair = new RelayPair(options);
    for (const name of ['relay-a', 'relay-b']) {
      const place = { name, port: await freePort(), relay: undefined };
      pair.places.push(place);
      pair.run(place);
    }
    return pair;
  }

  /** How often a relay has begun to publish. */
  get takeOvers(): number {
    return this.takeOverCount;
  }

  /** How often a relay has ended although nobody had killed it. */
  get crashes(): number {
    return this.crashCount;
  }

  /** By what each epoch was ended, where it is known. */
  get endsOfEpochs(): ReadonlyMap<bigint, string> {
    return this.ends;
  }

  /** The logs of the two, over all their lives. */
  get logFiles(): readonly string[] {
    return this.places.map(({ name }) => join(this.options.folder, `${name}.log`));
  }

  /** The relay that runs the route, as soon as there is one that has published something. */
  async leader(): Promise<RelayProcess> {
    const timeout = AbortSignal.timeout(LEADER_WAIT_MS);
    while (this.leading?.isRunning !== true) {
      await once(this.news, 'leading', { signal: timeout }).catch(() => {
        throw new Error(`No relay has taken the route within ${LEADER_WAIT_MS} ms: see ${this.logFiles.join(', ')}.`);
      });
    }
    return this.leading;
  }

  /** Whoever runs the route loses it now, without an end of its process. */
  leaderLoses(cause: string): void {
    if (this.leading !== undefined) {
      this.endEpochOf(this.leading, cause);
    }
    this.leading = undefined;
  }

  /** The relay that does not run the route, if it is running at all. */
  async standby(): Promise<RelayProcess | undefined> {
    const leader = await this.leader();
    return this.places.map(({ relay }) => relay).find((relay) => relay?.isRunning === true && relay !== leader);
  }

  /** SIGKILL; the relay is started again after `downMs`. */
  async kill(relay: RelayProcess, cause: string, downMs: number): Promise<void> {
    this.killed.add(relay);
    await relay.end('SIGKILL');
    this.endEpochOf(relay, cause);
    this.startAgain(relay, downMs);
  }

  /** SIGSTOP, and SIGCONT after `downMs`: longer than its lease, and the relay finds that it has lost the route. */
  async freeze(relay: RelayProcess, cause: string, downMs: number): Promise<void> {
    relay.send('SIGSTOP');
    this.leaderLoses(cause);
    await sleep(downMs);
    relay.send('SIGCONT');
  }

  /** Waits until the relay has got to the barrier, where it freezes. False: it did not in time, and goes on. */
  async reach(relay: RelayProcess, barrier: Barrier): Promise<boolean> {
    relay.tell(barrier);
    try {
      await once(this.news, `reached ${barrier}`, { signal: AbortSignal.timeout(BARRIER_WAIT_MS) });
      return true;
    } catch {
      return false;
    }
  }

  /** Resolves when every relay that was killed has been started again. */
  async complete(): Promise<void> {
    await Promise.all(this.restarts);
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    await this.complete();
    await Promise.all(this.places.map(async ({ relay }) => relay?.end('SIGTERM')));
  }

  private endEpochOf(relay: RelayProcess, cause: string): void {
    const epoch = this.epochs.get(relay);
    if (epoch !== undefined) {
      this.ends.set(epoch, cause);
    }
  }

  private startAgain(relay: RelayProcess, downMs: number): void {
    const restart = this.restart(relay, downMs);
    this.restarts.add(restart);
    void restart.finally(() => this.restarts.delete(restart));
  }

  private async restart(relay: RelayProcess, downMs: number): Promise<void> {
    await sleep(downMs);
    const place = this.places.find((candidate) => candidate.relay === relay);
    if (place !== undefined && !this.isStopping) {
      this.run(place);
    }
  }

  private heard(relay: RelayProcess, line: string): void {
    if (line === 'leading') {
      this.leading = relay;
      this.takeOverCount += 1;
    }
    const epoch = /^claimed (\d+)$/.exec(line)?.[1];
    if (epoch !== undefined) {
      this.epochs.set(relay, BigInt(epoch));
    }
    this.news.emit(line);
  }

  private run(place: Place): void {
    const { folder, databaseUrl, brokers, client, route, leaseMs, isAckingEarly } = this.options;
    const preload = ['short-lease', 'barriers', ...(isAckingEarly ? ['early-ack'] : [])];
    const relay = new RelayProcess({
      file: join(folder, place.name),
      databaseUrl,
      brokers,
      client,
      port: place.port,
      routes: [route],
      nodeArguments: ['--enable-source-maps', ...preload.map((name) => `--import=${join(PRELOAD, `${name}.js`)}`)],
      environment: { MILLRACE_FAULTS_LEASE_MS: String(leaseMs) },
      onLine: (line) => {
        this.heard(relay, line);
      },
    });
    place.relay = relay;
    void relay.exited.then(() => {
      if (!this.isStopping && !this.killed.has(relay)) {
        this.crashCount += 1;
        this.startAgain(relay, CRASH_PAUSE_MS);
      }
    });
  }
}

const PRELOAD = join(dirname(fileURLToPath(import.meta.url)), 'preload');
