import { CaptureError, type SourcePort } from '@millrace/capture';
import { type SinkPort } from '@millrace/transport';
import { type RelayClock, type RelayRandom, systemRelayClock, systemRelayRandom } from './relay-clock.js';
import { type RelayObserver } from './relay-observer.js';
import { RelayError } from './relay.errors.js';
import { parseRoute, type Route, type RouteConfig } from './route-config.js';
import { RouteMeter } from './route-meter.js';
import { RouteRunner } from './route-runner.js';
import { type RouteStatus } from './route-status.js';
import { SendGate } from './send-gate.js';

/** What an engine is made of. Sources and sinks are known by the names that the routes use. */
export interface RelayEngineOptions {
  /** Names this process in the ledger: unique among all relays, also over restarts of one that may still live. */
  readonly owner: string;
  readonly sources: ReadonlyMap<string, SourcePort>;
  readonly sinks: ReadonlyMap<string, SinkPort>;
  readonly routes: readonly RouteConfig[];
  readonly observer?: RelayObserver;
  readonly clock?: RelayClock;
  readonly random?: RelayRandom;
}

/** Who asks for a pause or a resumption, for the audit. */
export interface RouteCommand {
  readonly route: string;
  readonly actor: string;
  readonly reason: string | null;
}

interface RunningRoute {
  readonly route: Route;
  readonly source: SourcePort;
  readonly runner: RouteRunner;
}

/**
 * The relay as a library: publishes the events of its routes for as long as it runs.
 *
 * Delivery: at least once; what was not settled when a claim ended is sent again. Order: per aggregate key, first
 * copies leave in commit order. Isolation: a route whose source or sink is dead disturbs no other. Failure: nothing
 * here throws because a server is away; the state of the route tells.
 */
export class RelayEngine {
  private readonly routes = new Map<string, RunningRoute>();
  private readonly gates = new Map<SinkPort, SendGate>();

  /** Throws `RelayError` `configuration` with all problems at once. Touches no server. */
  constructor(options: RelayEngineOptions) {
    const problems: string[] = [];
    if (options.owner === '') {
      problems.push('owner is empty; give each relay process a name of its own');
    }
    for (const config of options.routes) {
      try {
        this.addRoute(config, options);
      } catch (error) {
        problems.push(error instanceof RelayError ? error.message : String(error));
      }
    }
    if (problems.length > 0) {
      throw new RelayError('configuration', `The relay cannot start: ${problems.join('. ')}`);
    }
  }

  /** Starts all routes. Returns at once; idempotent. */
  start(): void {
    for (const { runner } of this.routes.values()) {
      runner.start();
    }
  }

  /** Stops all routes (each drains, bounded by its `drainMs`), then the sinks. Idempotent, safe before `start`. */
  async stop(): Promise<void> {
    await Promise.all([...this.routes.values()].map(({ runner }) => runner.stop()));
    await Promise.all([...this.gates.keys()].map((sink) => sink.stop()));
  }

  /** The status of every route, in the order of the configuration. Touches no server. */
  status(): RouteStatus[] {
    return [...this.routes.values()].map(({ runner }) => runner.status());
  }

  /** The status of one route. Throws `RelayError` `route_unknown`. */
  routeStatus(route: string): RouteStatus {
    return this.find(route).runner.status();
  }

  /**
   * Sets the route's pause mark in its source. The relay that runs it, wherever it is, lets what is in flight finish
   * and sends nothing more. Throws `RelayError` `route_unknown`, `CaptureError`.
   */
  async pause({ route, actor, reason }: RouteCommand): Promise<void> {
    const { source, runner } = this.find(route);
    await source.setPaused({ route, isPaused: true, actor, reason });
    runner.lookAtPauseMark();
  }

  /**
   * Clears the route's pause mark, and starts the route anew where this relay has stopped it. Throws `RelayError`
   * `route_unknown`, and `CaptureError` when the source does not take the command: then nothing has changed.
   */
  async resume({ route, actor, reason }: RouteCommand): Promise<void> {
    const { source, runner } = this.find(route);
    try {
      await source.setPaused({ route, isPaused: false, actor, reason });
    } catch (error) {
      // a route that was stopped before it ever ran has no pause mark yet
      if (!(runner.isStopped && error instanceof CaptureError && error.code === 'route_unknown')) {
        throw error;
      }
    }
    runner.resume();
  }

  /** There may be new events in `source`: its routes poll now instead of after their idle wait. */
  notify(source: string): void {
    for (const { route, runner } of this.routes.values()) {
      if (route.source === source) {
        runner.notify();
      }
    }
  }

  private addRoute(config: RouteConfig, options: RelayEngineOptions): void {
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
    const clock = options.clock ?? systemRelayClock;
    const meter = new RouteMeter(route.name, clock, options.observer ?? {});
    const random = options.random ?? systemRelayRandom;
    const gate = this.gates.get(sink) ?? new SendGate(clock);
    this.gates.set(sink, gate);
    const runner = new RouteRunner({ route, owner: options.owner, source, sink, clock, random, meter, gate });
    this.routes.set(route.name, { route, source, runner });
  }

  private find(name: string): RunningRoute {
    const found = this.routes.get(name);
    if (found === undefined) {
      const known = [...this.routes.keys()].join(', ');
      throw new RelayError('route_unknown', `There is no route ${JSON.stringify(name)} here; known are: ${known}.`);
    }
    return found;
  }
}
