import { type RelayObserver } from '../relay-observer.js';
import { RelayEngine } from '../relay-engine.js';
import { type RouteConfig, type RouteTuning } from '../route-config.js';
import { type RouteStatus } from '../route-status.js';
import { FakeClock } from './fake-clock.js';
import { FakeSink } from './fake-sink.js';
import { FakeSource } from './fake-source.js';

/** An engine with one route, `orders`, over fakes. */
export class FakeRelay {
  readonly clock = new FakeClock();
  readonly source = new FakeSource();
  readonly sink = new FakeSink();
  /** The kinds of the states that the route went through. */
  readonly states: string[] = [];
  readonly engine: RelayEngine;

  constructor(tuning: Partial<RouteTuning> = {}, route: Partial<RouteConfig> = {}, observer: RelayObserver = {}) {
    this.engine = new RelayEngine({
      owner: 'me',
      sources: new Map([['db', this.source]]),
      sinks: new Map([['kafka', this.sink]]),
      routes: [{ name: 'orders', source: 'db', sink: 'kafka', tuning, ...route }],
      observer: {
        stateChanged: ({ to }) => {
          this.states.push(to.kind);
        },
        ...observer,
      },
      clock: this.clock,
      random: { next: () => 0.5 },
    });
  }

  get status(): RouteStatus {
    return this.engine.routeStatus('orders');
  }

  /** The sentence of the problem that keeps the route from working. */
  get problem(): string {
    const { state } = this.status;
    return state.kind === 'stalled' || state.kind === 'stopped'
      ? `${state.problem.code}: ${state.problem.message}`
      : '';
  }

  /** Starts and gives the route time to be claimed. */
  async start(): Promise<void> {
    this.engine.start();
    await this.clock.advance(1);
  }

  /** Stops while the clock runs on. */
  async stop(): Promise<void> {
    const stopping = this.engine.stop();
    await this.clock.advance(60_000);
    await stopping;
  }
}
