import { shardOf } from './route-shard.js';
import { type Route } from './route-config.js';
import { type RouteRunner } from './route-runner.js';
import { type RouteSeat } from './route-seat.js';

/** One shard of a route, or the whole of one that is not divided, at work in this relay. */
export interface RunningShard {
  readonly route: Route;
  readonly seat: RouteSeat;
  readonly runner: RouteRunner;
}

/** What a route's shards are made with. */
export interface ShardedRouteParts {
  /** As configured. */
  readonly route: Route;
  /** Makes a shard that is not started; `resharded` is for its runner. */
  readonly make: (shard: Route, resharded: (shards: number) => void) => RunningShard;
}

/**
 * The shards of one route. How many there are is the source's to say: begins with the number of the configuration, and
 * takes the one that a claim tells. A shard that is no more stops in the background, bounded by its `drainMs`.
 */
export class ShardedRoute {
  private running: readonly RunningShard[];
  private readonly leaving = new Set<Promise<void>>();
  private isStarted = false;

  constructor(private readonly parts: ShardedRouteParts) {
    this.running = this.make(parts.route.shards);
  }

  /** As configured. */
  get route(): Route {
    return this.parts.route;
  }

  /** By number. */
  get shards(): readonly RunningShard[] {
    return this.running;
  }

  /** Idempotent. */
  start(): void {
    this.isStarted = true;
    for (const { runner } of this.running) {
      runner.start();
    }
  }

  /** Stops all shards, as `RouteRunner.stop` does. Idempotent, safe before start. */
  async stop(): Promise<void> {
    this.isStarted = false;
    await Promise.all([...this.running.map(({ runner }) => runner.stop()), ...this.leaving]);
  }

  private make(count: number): readonly RunningShard[] {
    const made: RunningShard[] = [];
    const resharded = (shards: number): void => {
      if (this.running === made) {
        this.become(shards);
      }
    };
    for (let number = 1; number <= count; number += 1) {
      made.push(this.parts.make(shardOf(this.parts.route, number, count), resharded));
    }
    return made;
  }

  private become(shards: number): void {
    for (const { runner } of this.running) {
      const left = runner.stop().finally(() => this.leaving.delete(left));
      this.leaving.add(left);
    }
    this.running = this.make(shards);
    if (this.isStarted) {
      this.start();
    }
  }
}
