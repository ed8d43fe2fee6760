import { RelayEngine } from '../relay-engine.js';
import { type RouteConfig } from '../route-config.js';
import { FakeClock } from './fake-clock.js';
import { FakeSink } from './fake-sink.js';
import { MortalClock } from './mortal-clock.js';
import { SharedDatabase, SharedSource } from './shared-database.js';

/** One relay of a world. */
export interface SharingRelay {
  readonly engine: RelayEngine;
  readonly process: MortalClock;
  readonly source: SharedSource;
  readonly sink: FakeSink;
  /** The members at each change of them. */
  readonly told: string[];
}

/** Some engines that share the routes `r0`, `r1` ... of one database, on one clock. */
export class SharingWorld {
  readonly clock = new FakeClock();
  readonly database = new SharedDatabase(this.clock);
  private readonly relays = new Map<string, SharingRelay>();

  constructor(private readonly routes: number) {}

  /** Adds a relay without starting it. */
  add(owner: string, route: Partial<RouteConfig> = {}): SharingRelay {
    const process = new MortalClock(this.clock);
    const source = new SharedSource(this.database);
    const sink = new FakeSink();
    const told: string[] = [];
    const engine = new RelayEngine({
      owner,
      sources: new Map([['db', source]]),
      sinks: new Map([['kafka', sink]]),
      routes: Array.from({ length: this.routes }, (_, index) => ({
        name: `r${index}`,
        source: 'db',
        sink: 'kafka',
        tuning: { pollWaitMinMs: 500, pollWaitMaxMs: 500 },
        ...route,
      })),
      observer: {
        membersChanged: ({ members }) => {
          told.push(members.join(' '));
        },
      },
      clock: process,
      random: { next: () => 0.5 },
    });
    const relay = { engine, process, source, sink, told };
    this.relays.set(owner, relay);
    return relay;
  }

  /** Adds and starts relays, and lets them find each other. */
  async join(...owners: readonly string[]): Promise<void> {
    for (const owner of owners) {
      this.add(owner).engine.start();
      await this.pass(1);
    }
  }

  relay(owner: string): SharingRelay {
    const relay = this.relays.get(owner);
    if (relay === undefined) {
      throw new Error(`there is no relay ${owner}`);
    }
    return relay;
  }

  kill(owner: string): void {
    this.relay(owner).process.kill();
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Runs until the routes have these owners; how long that took. */
  async until(owners: string, withinMs: number): Promise<number> {
    for (let ms = 0; ms <= withinMs; ms += 100) {
      if (this.owners === owners) {
        return ms;
      }
      await this.pass(100);
    }
    throw new Error(`after ${withinMs} ms the owners are ${this.owners}, not ${owners}`);
  }

  /** The owners of the routes, in the order of the configuration; `-` for nobody. */
  get owners(): string {
    const { owners } = this.database;
    return Array.from({ length: this.routes }, (_, index) => owners[`r${index}`] ?? '-').join(' ');
  }

  /** What changed hands since `from` moves, in short. */
  movesSince(from: number): string[] {
    return this.database.moves.slice(from).map(({ route, to }) => `${route} to ${to}`);
  }

  async stop(): Promise<void> {
    const stopping = Promise.all([...this.relays.values()].map(({ engine }) => engine.stop()));
    await this.pass(60_000);
    await stopping;
  }
}
