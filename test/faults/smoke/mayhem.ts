import { setTimeout as sleep } from 'node:timers/promises';
import { type Servers } from '../../harness/servers.js';
import { type Shop } from '../../harness/shop.js';
import { type Component, COMPONENTS, type Kill } from './kill-schedule.js';

/** A kill as it went. Milliseconds since the start of the run, and until the victim was back. */
export interface KillDone {
  readonly component: Component;
  readonly atMs: number;
  readonly backAfterMs: number;
}

/** What is killed, and who is told. */
export interface MayhemParts {
  readonly servers: Servers;
  readonly shop: Shop;
  readonly told: (line: string) => void;
}

/**
 * Kills by a schedule, with SIGKILL, and starts at once what was killed. Several may be down at the same time; one that
 * is to be killed again while it is down is killed as soon as it is back.
 */
export class Mayhem {
  readonly done: KillDone[] = [];
  /** What was not back in time: one line each. */
  readonly lost: string[] = [];
  /** The time of the last kill, as `performance.now()` tells; 0 before the first. */
  lastMs = 0;
  private readonly last = new Map<Component, Promise<void>>();

  constructor(private readonly parts: MayhemParts) {}

  /** Resolves when everything was killed and is back, or should be. */
  async run(schedule: readonly Kill[]): Promise<void> {
    const startedMs = performance.now();
    await Promise.all(
      schedule.map(async ({ atMs, component }) => {
        await sleep(atMs);
        const before = this.last.get(component) ?? Promise.resolve();
        const strike = before.then(async () => this.strike(component, startedMs));
        this.last.set(component, strike);
        await strike;
      }),
    );
  }

  /** How often each was killed, and the longest that it took to be back. */
  get summary(): readonly { readonly component: Component; readonly kills: number; readonly longestMs: number }[] {
    return COMPONENTS.map((component) => {
      const kills = this.done.filter((kill) => kill.component === component);
      return { component, kills: kills.length, longestMs: Math.max(0, ...kills.map(({ backAfterMs }) => backAfterMs)) };
    });
  }

  private async strike(component: Component, startedMs: number): Promise<void> {
    this.lastMs = performance.now();
    const atMs = this.lastMs - startedMs;
    const backAfterMs = await this.kill(component).catch((error: unknown) => {
      this.lost.push(String(error));
      return Infinity;
    });
    this.done.push({ component, atMs, backAfterMs });
    this.parts.told(`  ${seconds(atMs)} s ${component} killed, back after ${seconds(backAfterMs)} s`);
  }

  private async kill(component: Component): Promise<number> {
    const { servers, shop } = this.parts;
    if (component !== 'kafka' && component !== 'postgres') {
      return shop.app(component).kill();
    }
    const server = servers[component];
    const killedMs = performance.now();
    await server.kill();
    await server.start();
    return performance.now() - killedMs;
  }
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1_000).toFixed(1);
}
