import { CaptureError, type CaptureMode, type RouteShards, type SourcePort } from '@millrace/capture';
import { SinkError, type SinkPort } from '@millrace/transport';
import { configVersionOf } from './config-version.js';
import { DEFAULT_SHARING_TUNING, sharingProblems, type SharingTuning } from './placement.js';
import { sinkSilent } from './problem.js';
import { type RelayClock, type RelayRandom, systemRelayClock, systemRelayRandom } from './relay-clock.js';
import { type RelayObserver } from './relay-observer.js';
import { RelayError } from './relay.errors.js';
import { parseRoute, type Route, type RouteConfig } from './route-config.js';
import { shardsProblem } from './route-shard.js';
import { RouteMeter } from './route-meter.js';
import { RouteRunner } from './route-runner.js';
import { RouteSeat } from './route-seat.js';
import { type RouteStatus } from './route-status.js';
import { SendGate } from './send-gate.js';
import { SinkBreaker } from './sink-breaker.js';
import { type RunningShard, ShardedRoute } from './sharded-route.js';
import { SourceMembers, type SourceMembersStatus } from './source-members.js';
import { withDeadline } from './waiting.js';
import { wholeRouteStatus } from './whole-route-status.js';

/** What an engine is made of. Sources and sinks are known by the names that the routes use. */
export interface RelayEngineOptions {
  /** Names this process in the ledger: unique among all relays, also over restarts of one that may still live. */
  readonly owner: string;
  readonly sources: ReadonlyMap<string, SourcePort>;
  readonly sinks: ReadonlyMap<string, SinkPort>;
  /** In the same order in every relay that shares them. */
  readonly routes: readonly RouteConfig[];
  /** How routes are shared with other relays; the same in all of them. */
  readonly sharing?: Partial<SharingTuning>;
  readonly observer?: RelayObserver;
  readonly clock?: RelayClock;
  readonly random?: RelayRandom;
}

/** Who asks for a pause, a resumption or a step-down, for the audit. */
export interface RouteCommand {
  readonly route: string;
  readonly actor: string;
  readonly reason: string | null;
}

/** Who asks for another way to learn of new rows; `null`: the one of the configuration. */
export interface CaptureCommand extends RouteCommand {
  readonly mode: CaptureMode | null;
}

/** Who asks for another number of shards. */
export interface ShardsCommand extends RouteCommand {
  readonly shards: number;
}

interface ConfiguredRoute {
  readonly source: SourcePort;
  readonly sink: SinkPort;
  readonly sharded: ShardedRoute;
}

/** What a name stands for: a route, or one of its shards. */
interface Found extends ConfiguredRoute {
  readonly shards: readonly RunningShard[];
}

/** What all routes of an engine have in common. */
interface Surroundings {
  readonly owner: string;
  readonly configVersion: string;
  readonly clock: RelayClock;
  readonly random: RelayRandom;
  readonly tuning: SharingTuning;
}

/**
 * The relay as a library: publishes the events of its routes for as long as it runs.
 *
 * Delivery: at least once; what was not settled when a claim ended is sent again. Order: per aggregate key, first
 * copies leave in commit order. Isolation: a route whose source or sink is dead disturbs no other. Sharing: engines with
 * the same routes over the same sources run an equal number of them each, within seconds of a join, a leave or a death;
 * the lease alone decides who publishes. Failure: nothing here throws because a server is away; the state of the route
 * tells.
 */
export class RelayEngine {
  private readonly routes = new Map<string, ConfiguredRoute>();
  private readonly gates = new Map<SinkPort, SendGate>();
  private readonly breakers = new Map<SinkPort, SinkBreaker>();
  private readonly members = new Map<string, SourceMembers>();
  private readonly surroundings: Surroundings;

  /** Throws `RelayError` `configuration` with all problems at once. Touches no server. */
  constructor(options: RelayEngineOptions) {
    this.surroundings = {
      owner: options.owner,
      configVersion: configVersionOf(options.routes),
      clock: options.clock ?? systemRelayClock,
      random: options.random ?? systemRelayRandom,
      tuning: { ...DEFAULT_SHARING_TUNING, ...options.sharing },
    };
    const problems = sharingProblems(this.surroundings.tuning);
    if (options.owner === '') {
      problems.push('owner is empty; give each relay process a name of its own');
    }
    for (const [index, config] of options.routes.entries()) {
      try {
        this.addRoute(config, index, options);
      } catch (error) {
        problems.push(error instanceof RelayError ? error.message : String(error));
      }
    }
    if (problems.length > 0) {
      throw new RelayError('configuration', `The relay cannot start: ${problems.join('. ')}`);
    }
  }

  /** This relay's name among the relays. */
  get owner(): string {
    return this.surroundings.owner;
  }

  /** Starts all routes. Returns at once; idempotent. */
  start(): void {
    for (const members of this.members.values()) {
      members.start();
    }
    for (const { sharded } of this.routes.values()) {
      sharded.start();
    }
  }

  /**
   * Tells the other relays and stops all routes (each drains, bounded by its `drainMs`), then the sinks. Idempotent, safe
   * before `start`.
   */
  async stop(): Promise<void> {
    const leaving = [...this.members.values()].map((members) => members.stop());
    await Promise.all([...this.routes.values()].map(({ sharded }) => sharded.stop()));
    await Promise.all(leaving);
    for (const breaker of this.breakers.values()) {
      breaker.stop();
    }
    await Promise.all([...this.gates.keys()].map((sink) => sink.stop()));
  }

  /** The status of every route, shard by shard, in the order of the configuration. Touches no server. */
  status(): RouteStatus[] {
    return this.allShards().map(({ runner }) => runner.status());
  }

  /** The relays of every source, as this one last read them. Touches no server. */
  relays(): SourceMembersStatus[] {
    return [...this.members.values()].map((members) => members.status());
  }

  /** The status of one route, over all its shards, or of one shard. Throws `RelayError` `route_unknown`. */
  routeStatus(route: string): RouteStatus {
    const [first, ...others] = this.find(route).shards.map(({ runner }) => runner.status());
    if (first === undefined) {
      throw new RelayError('internal', `Route ${route} has no shard.`);
    }
    return wholeRouteStatus(first, others);
  }

  /**
   * Sets the route's pause mark in its source. The relay that runs it, wherever it is, lets what is in flight finish
   * and sends nothing more; where that is this one, the status shows it when this resolves, unless the ledger takes more
   * than a second. Throws `RelayError` `route_unknown`, `CaptureError`.
   */
  async pause({ route, actor, reason }: RouteCommand): Promise<void> {
    const { source, shards } = this.find(route);
    await source.setPaused({ route, isPaused: true, actor, reason });
    await lookAtLedgers(shards);
  }

  /**
   * Clears the route's pause mark, and starts the route anew where this relay has stopped it or leaves it to another one
   * that has. Resolves as `pause` does. Throws `RelayError` `route_unknown`, and `CaptureError` when the source does not
   * take the command: then nothing has changed.
   */
  async resume({ route, actor, reason }: RouteCommand): Promise<void> {
    const { source, shards } = this.find(route);
    try {
      await source.setPaused({ route, isPaused: false, actor, reason });
    } catch (error) {
      // a route that was stopped before it ever ran has no pause mark yet
      const isHeldUp = shards.some(({ runner, seat }) => runner.isStopped || seat.stoppedBy !== null);
      if (!(isHeldUp && error instanceof CaptureError && error.code === 'route_unknown')) {
        throw error;
      }
    }
    await Promise.all(shards.map(({ runner }) => runner.resume()));
  }

  /**
   * Starts the route anew where this relay has stopped it or leaves it to another one that has, and leaves its pause mark
   * as it is: for whoever has removed the cause. Resolves as `pause` does. Throws `RelayError` `route_unknown`.
   */
  async startAnew(route: string): Promise<void> {
    await Promise.all(this.find(route).shards.map(({ runner }) => runner.resume()));
  }

  /**
   * A person has changed what is held of the route: where this relay runs it, it looks now instead of a second later.
   * Resolves as `pause` does. Throws `RelayError` `route_unknown`.
   */
  async lookAtHeld(route: string): Promise<void> {
    await lookAtLedgers(this.find(route).shards);
  }

  /**
   * Sets how the route learns of new rows, in its source, where it outlives restarts. The relay that runs it, wherever it
   * is, changes over at its next write of the ledger, without a gap, a second copy or another order. Resolves as `pause`
   * does: the status shows the mode, not yet that the stream is read. Throws `RelayError` `route_unknown`, `CaptureError`.
   */
  async setCapture({ route, mode, actor, reason }: CaptureCommand): Promise<void> {
    const { source, shards } = this.find(route);
    await source.setCapture({ route, mode, actor, reason });
    await lookAtLedgers(shards);
  }

  /**
   * Sets how many shards the route has, in its source. Whoever runs the present ones, wherever it is, lets them settle what
   * any of them has read; then the new ones begin. The number in force calls a change off. Throws `RelayError`
   * `route_unknown`, `shards_unfit` when a topic of the route that is known here cannot be shared by so many, `SinkError`
   * when the sink does not tell, and `CaptureError`: then nothing has changed.
   */
  async setShards({ route, shards: count, actor, reason }: ShardsCommand): Promise<RouteShards> {
    const configured = this.configured(route);
    const { source, sharded } = configured;
    // the number in force calls a change off, also one that waits for a sink that is away
    if (count !== (await source.shards(route)).inForce) {
      await this.assertFits(configured, count);
    }
    const state = await source.setShards({ route, shards: count, actor, reason });
    await lookAtLedgers(sharded.shards);
    return state;
  }

  /** How the route is divided, by its source. Throws `RelayError` `route_unknown`, `CaptureError`. */
  shards(route: string): Promise<RouteShards> {
    return this.configured(route).source.shards(route);
  }

  /**
   * Gives the route, or what this relay runs of its shards, to another relay: finishes and settles what is in flight,
   * gives the lease back, and does not want it for a minute. Without another relay it comes back after twice the grace. Writes an audit row first. Throws
   * `RelayError` `route_unknown`, `route_not_run` when this relay does not run the route, and `CaptureError`: then
   * nothing has changed.
   */
  async stepDown({ route, actor, reason }: RouteCommand): Promise<void> {
    const { source, shards } = this.find(route);
    if (shards.some(({ runner }) => runner.isRunning)) {
      await source.audit({ actor, action: 'route.step-down', target: route, reason });
    }
    if (shards.filter(({ runner }) => runner.stepDown()).length === 0) {
      throw new RelayError(
        'route_not_run',
        `This relay does not run route ${route}: it has nothing to give away. Ask the relay that runs it.`,
      );
    }
  }

  /** There may be new events in `source`: its routes poll now instead of after their idle wait. */
  notify(source: string): void {
    for (const { runner } of this.shardsOver(source)) {
      runner.notify();
    }
  }

  private addRoute(config: RouteConfig, index: number, options: RelayEngineOptions): void {
    const route = parseRoute(config);
    const source = options.sources.get(route.source);
    const sink = options.sinks.get(route.sink);
    if (source === undefined || sink === undefined) {
      const missing = source === undefined ? `source ${route.source}` : `sink ${route.sink}`;
      throw new RelayError('configuration', `Route ${route.name} names the ${missing}, which is not configured`);
    }
    if (this.routes.has(route.name)) {
      throw new RelayError('configuration', `Two routes are named ${route.name}`);
    }
    const { owner, configVersion, clock, random, tuning } = this.surroundings;
    const observer = options.observer ?? {};
    const members = this.membersOf(source, route.source, observer);
    const gate = this.gates.get(sink) ?? new SendGate(clock);
    this.gates.set(sink, gate);
    const breaker = this.breakers.get(sink) ?? breakerOf(route.sink, { clock, random, observer });
    this.breakers.set(sink, breaker);
    const make = (shard: Route, resharded: (shards: number) => void): RunningShard => {
      const place = { route: shard.name, index: index + shard.shard.number - 1, configVersion };
      const seat = new RouteSeat({ place, owner, clock, tuning });
      members.showTo(seat);
      const meter = new RouteMeter(shard.name, clock, observer);
      const parts = { owner, source, sink, clock, random, meter, gate, breaker, seat, others: members, resharded };
      return { route: shard, seat, runner: new RouteRunner({ ...parts, route: shard }) };
    };
    this.routes.set(route.name, { source, sink, sharded: new ShardedRoute({ route, make }) });
  }

  private membersOf(source: SourcePort, name: string, observer: RelayObserver): SourceMembers {
    const known = this.members.get(name);
    if (known !== undefined) {
      return known;
    }
    const shardsHere = (): readonly RunningShard[] => this.shardsOver(name);
    const { owner, configVersion, clock, tuning } = this.surroundings;
    const members = new SourceMembers({
      name,
      source,
      owner,
      configVersion,
      clock,
      tuning,
      observer,
      presence: () => ({
        wants: shardsHere().flatMap(({ route, runner }) => (runner.isWanting ? [route.name] : [])),
        stopped: shardsHere().flatMap(({ route, runner }) => (runner.isStoppedForAll ? [route.name] : [])),
      }),
      seen: (view) => {
        for (const { seat, runner } of shardsHere()) {
          seat.see(view);
          runner.lookAround();
        }
      },
    });
    this.members.set(name, members);
    return members;
  }

  private async assertFits({ sink, sharded }: ConfiguredRoute, count: number): Promise<void> {
    const { topic: naming, filter, tuning } = sharded.route;
    const deadline = { clock: this.surroundings.clock, ms: tuning.callDeadlineMs, error: sinkSilent };
    const named = naming.topicsOf(filter).map(async (topic) => {
      const opening = sink.openTopic(topic).catch(nullIfMissing);
      return withDeadline(opening, { ...deadline, signal: new AbortController().signal });
    });
    const met = sharded.shards.flatMap(({ runner }) => runner.openedTopics);
    for (const topic of [...(await Promise.all(named)), ...met]) {
      const problem = topic === null ? null : shardsProblem(topic, count);
      if (problem !== null) {
        throw new RelayError('shards_unfit', problem);
      }
    }
  }

  private allShards(): readonly RunningShard[] {
    return [...this.routes.values()].flatMap(({ sharded }) => sharded.shards);
  }

  private shardsOver(source: string): readonly RunningShard[] {
    return this.allShards().filter(({ route }) => route.source === source);
  }

  private configured(name: string): ConfiguredRoute {
    const found = this.routes.get(name);
    if (found === undefined) {
      const known = [...this.routes.keys()].join(', ');
      throw new RelayError('route_unknown', `There is no route ${JSON.stringify(name)} here; known are: ${known}.`);
    }
    return found;
  }

  private find(name: string): Found {
    const shard = this.allShards().find(({ route }) => route.name === name);
    const configured = this.configured(shard?.route.shard.of ?? name);
    return { ...configured, shards: shard === undefined ? configured.sharded.shards : [shard] };
  }
}

/** A topic that is not there yet can still get any number of partitions. */
function nullIfMissing(error: unknown): null {
  if (error instanceof SinkError && error.code === 'topic_missing') {
    return null;
  }
  throw error;
}

async function lookAtLedgers(shards: readonly RunningShard[]): Promise<void> {
  await Promise.all(shards.map(({ runner }) => runner.lookAtLedger()));
}

function breakerOf(
  sink: string,
  { clock, random, observer }: Pick<Surroundings, 'clock' | 'random'> & { readonly observer: RelayObserver },
): SinkBreaker {
  return new SinkBreaker({
    clock,
    random,
    sink,
    changed: (isOpen) => {
      observer.breakerChanged?.({ sink, isOpen });
    },
  });
}
