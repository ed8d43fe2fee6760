import { RelayEngine } from '@millrace/relay';
import { type SinkLane, type SinkRecord } from '@millrace/transport';
import { History } from './history.js';
import { Network } from './network.js';
import { HELD_RETRY, type PersonsAct } from './poison.js';
import { endOfTrouble, type Fault, type Scenario, UNWANTED_KEY } from './scenario.js';
import { type DatabaseFaults, SimDatabase } from './sim-database.js';
import { SimKafka } from './sim-kafka.js';
import { SimProcess } from './sim-process.js';
import { type SendWatch, SimSink } from './sim-sink.js';
import { SimSource } from './sim-source.js';
import { BEGINS_AT_MS, seededRandom, VirtualTime } from './virtual-time.js';

const ROUTE = 'orders';
/** From the end of all trouble until events are published again: lease, back-off and the last late message. */
const RECOVERY_MS = 30_000;
/** Messages, one after the other, that one event takes when pages and batches have room for one. */
const MESSAGES_PER_EVENT = 5;
const STOP_MS = 30_000;
/** How often somebody looks after what is held when all trouble is over. */
const CARE_MS = 2_000;
/** What an event on its way takes in memory at most, and a page. */
const EVENT_BYTES_MAX = 2_000;
const PAGE_BYTES_MAX = 1_500;

interface RunningRelay {
  readonly process: SimProcess;
  readonly network: Network;
  readonly engine: RelayEngine;
}

/** What a run came to. */
export interface RunSummary {
  readonly events: number;
  readonly records: number;
  readonly sends: number;
}

/** For the proof that the checks see what they are there for. */
export interface WorldMutations {
  readonly database?: DatabaseFaults;
  /** Rules that are not looked at, so that another one can be seen to break. */
  readonly blindTo?: readonly string[];
}

/** Some relays, one database, one Kafka, and a scenario that happens to them. */
export class RelayWorld {
  private readonly time = new VirtualTime();
  private readonly random: () => number;
  private readonly database: SimDatabase;
  private readonly kafka: SimKafka;
  private readonly history: History;
  private readonly relays: RunningRelay[] = [];
  private started = 0;

  constructor(
    private readonly scenario: Scenario,
    mutations: WorldMutations = {},
  ) {
    this.random = seededRandom(scenario.seed);
    this.database = new SimDatabase(this.time, (key) => key !== UNWANTED_KEY, mutations.database);
    this.kafka = new SimKafka(scenario.partitions, scenario.brokerBatchMax);
    const { poison, eventsInFlightMax, pageRowsMax } = scenario;
    const untilMs = new Map(poison?.events.map((event) => [event.nth, event.untilMs ?? Number.POSITIVE_INFINITY]));
    this.kafka.isPoison = (id) => this.time.nowMs < (untilMs.get(Number(id.slice(-12))) ?? 0);
    this.history = new History({
      route: ROUTE,
      database: this.database,
      kafka: this.kafka,
      ...(poison && { holding: { ...poison, inFlightMax: eventsInFlightMax + pageRowsMax } }),
      blindTo: mutations.blindTo ?? [],
    });
  }

  /** Throws `InvariantBroken` when a rule was broken. */
  async run(): Promise<RunSummary> {
    const { relays, transactions, faults, poison } = this.scenario;
    for (let slot = 0; slot < relays; slot += 1) {
      this.startRelay(slot);
    }
    transactions.forEach((plan) => {
      this.database.plan(plan);
    });
    faults.forEach((fault) => {
      this.planFault(fault);
    });
    poison?.acts.forEach((act) => {
      this.planAct(act);
    });
    const troubleMs = endOfTrouble(this.scenario);
    await this.time.runUntil(() => this.history.broken !== null, troubleMs);
    await this.recover(() => this.unfinished(), 'without faults');
    if (poison !== undefined) {
      this.careForHeld();
      await this.recover(() => (this.database.held.isEmpty ? this.unfinished() : 'something is held'), 'of care');
    }
    await this.stopAll();
    this.history.checkLogs();
    if (this.history.broken !== null) {
      throw this.history.broken;
    }
    return {
      events: this.database.truth.length,
      records: this.kafka.logs.reduce((sum, log) => sum + log.length, 0),
      sends: this.history.sends,
    };
  }

  private startRelay(slot: number): void {
    this.started += 1;
    const { random } = this;
    const process = new SimProcess(`relay-${slot}-${this.started}`, this.time, {
      clockSpeed: 0.97 + 0.06 * random(),
      random,
    });
    const network = new Network(this.time, random, this.scenario.travelMs);
    const {
      pageRowsMax,
      gapRangesMax,
      batchRecordsMax,
      pagesInFlightMax,
      eventsInFlightMax,
      bytesInFlightMax,
      poison,
    } = this.scenario;
    const engine: RelayEngine = new RelayEngine({
      owner: process.name,
      sources: new Map([
        [
          'db',
          new SimSource({
            ...{ process, network, database: this.database, pageRowsMax, gapRangesMax },
            canHold: poison !== undefined,
          }),
        ],
      ]),
      sinks: new Map([
        ['kafka', new SimSink({ process, network, kafka: this.kafka, watch: this.watchOf(() => engine) })],
      ]),
      routes: [
        {
          name: ROUTE,
          source: 'db',
          sink: 'kafka',
          tuning: { pagesInFlightMax, eventsInFlightMax, bytesInFlightMax, batchRecordsMax },
          ...(poison && { onPoison: poison.onPoison, held: { ...HELD_RETRY, eventsMax: poison.heldEventsMax } }),
        },
      ],
      clock: process.clock,
      random: { next: random },
    });
    engine.start();
    this.relays[slot] = { process, network, engine };
  }

  /** Beside the history, looks at the memory of the engine at each send. */
  private watchOf(engine: () => RelayEngine): SendWatch {
    const { history, scenario } = this;
    return {
      sending: (process: string, lane: SinkLane, records: readonly SinkRecord[]): void => {
        history.sending(process, lane, records);
        const { eventsInFlight = 0, bytesInFlight = 0 } = engine().routeStatus(ROUTE).claim ?? {};
        const { eventsInFlightMax, bytesInFlightMax, pageRowsMax } = scenario;
        const isBounded =
          eventsInFlight < eventsInFlightMax + pageRowsMax &&
          bytesInFlight < bytesInFlightMax + pageRowsMax * EVENT_BYTES_MAX + PAGE_BYTES_MAX;
        history.rule('bounded memory', isBounded, `${eventsInFlight} events, ${bytesInFlight} bytes`);
      },
      ended: (process, lane, outcome): void => {
        history.ended(process, lane, outcome);
      },
    };
  }

  private planFault(fault: Fault): void {
    this.time.in(fault.atMs, () => {
      this.begin(fault);
    });
  }

  private begin(fault: Fault): void {
    if ('relay' in fault) {
      this.beginAtRelay(fault);
    } else {
      this.beginAtServer(fault);
    }
  }

  private beginAtServer(fault: Exclude<Fault, { relay: number }>): void {
    switch (fault.kind) {
      case 'kafka-down':
        this.kafka.isUp = false;
        this.time.in(fault.forMs, () => {
          this.kafka.isUp = true;
        });
        return;
      case 'topic-missing':
        this.kafka.isTopicThere = false;
        this.time.in(fault.forMs, () => {
          this.kafka.isTopicThere = true;
        });
        return;
      case 'lane-silent': {
        const end = this.kafka.silence(fault.partition);
        this.time.in(fault.forMs, () => {
          this.checkOtherLanes();
          end();
        });
        return;
      }
      case 'database-crash':
        this.database.crash(fault.forMs);
        return;
      case 'paused':
        this.pauseFor(fault.forMs);
        return;
      case 'long-transaction':
        this.database.planForeign(0, fault.forMs);
    }
  }

  private checkOtherLanes(): void {
    const { database, kafka, scenario, time } = this;
    const { othersWithinMs = Number.POSITIVE_INFINITY } = scenario;
    const late = database.truth.filter(
      ({ id, key, occurredAtMs }) =>
        !kafka.published.has(id) &&
        !kafka.silent.includes(kafka.partitionOf(Buffer.from(key))) &&
        occurredAtMs < BEGINS_AT_MS + time.nowMs - othersWithinMs,
    );
    this.history.rule('other lanes go on', late.length === 0, `${late.length} events wait, ${late[0]?.id ?? ''} first`);
  }

  private beginAtRelay(fault: Extract<Fault, { relay: number }>): void {
    const slot = fault.relay % this.scenario.relays;
    const relay = this.relays[slot];
    if (relay === undefined) {
      return;
    }
    switch (fault.kind) {
      case 'relay-crash':
        relay.process.kill();
        this.restartLater(slot, relay, fault.forMs);
        return;
      case 'relay-freeze':
        relay.process.freeze(fault.forMs);
        return;
      case 'relay-restart':
        void relay.engine.stop();
        this.restartLater(slot, relay, fault.forMs);
        return;
      case 'wall-clock-set':
        relay.process.jumpWall(fault.forMs);
        return;
      case 'network':
        relay.network.disturb(fault.server, fault.weather, fault.forMs);
    }
  }

  private restartLater(slot: number, relay: RunningRelay, delayMs: number): void {
    this.time.in(delayMs, () => {
      if (this.relays[slot] === relay) {
        relay.process.kill();
        this.startRelay(slot);
      }
    });
  }

  /** The mark is set and cleared in the database, as an operator's other tool would. */
  private pauseFor(durationMs: number): void {
    if (this.database.epochOf(ROUTE) > 0n) {
      this.database.setPaused(ROUTE, true);
      this.time.in(durationMs, () => {
        this.database.setPaused(ROUTE, false);
      });
    }
  }

  private planAct({ action, of, atMs }: PersonsAct): void {
    this.time.in(atMs, () => {
      this.database.act(
        action,
        ({ aggregateId, refusal }) => of === 'all' || aggregateId === of || (of === 'refused' && refusal !== null),
      );
    });
  }

  /** Somebody gives up what the sink will never have, and has the rest tried again. */
  private careForHeld(): void {
    const { database, kafka, time } = this;
    database.act('discard', ({ id }) => kafka.isPoison(id));
    if ([...database.held.rows.values()].some(({ refusal }) => refusal !== null)) {
      database.act('retry', () => true);
    }
    time.in(CARE_MS, () => {
      this.careForHeld();
    });
  }

  private async recover(unfinished: () => string | null, how: string): Promise<void> {
    const recoveryMs = this.recoveryMs();
    const isDone = (): boolean => this.history.broken !== null || unfinished() === null;
    await this.time.runUntil(isDone, this.time.nowMs + recoveryMs);
    const left = unfinished();
    this.history.rule('liveness', left === null, `${left ?? ''} after ${recoveryMs} ms ${how}`);
  }

  private recoveryMs(): number {
    const { transactions, travelMs, poison } = this.scenario;
    const events = transactions.reduce((sum, { keys }) => sum + keys.length, 0);
    const tries = (poison?.events.length ?? 0) * HELD_RETRY.retryMaxMs;
    return RECOVERY_MS + tries + events * MESSAGES_PER_EVENT * travelMs;
  }

  private unfinished(): string | null {
    if (this.isFullOfPoison()) {
      return null;
    }
    const missing = this.database.truth.filter(
      ({ id, key }) => !this.kafka.published.has(id) && !this.waitsRightly(id, key),
    );
    if (missing.length > 0) {
      return `${missing.length} events are not published, ${missing[0]?.id ?? ''} first`;
    }
    return this.database.isQuiet && this.database.isSettled(ROUTE) ? this.unwell() : 'the ledger is not settled';
  }

  private unwell(): string | null {
    const statuses = this.relays.map(({ engine }) => engine.routeStatus(ROUTE));
    const running = statuses.filter(({ state }) => state.kind === 'running');
    if (running.length !== 1) {
      const isText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
      return `the route is ${statuses.map(({ state }) => JSON.stringify(state, isText)).join(' and ')}`;
    }
    const lag = running[0]?.lagSeconds ?? 0;
    return lag === 0 ? null : `the lag is ${lag} s`;
  }

  /** It was given up, or left out, or waits behind an event that the sink will not have, or a person has to look at. */
  private waitsRightly(id: string, key: string): boolean {
    const { held } = this.database;
    if (held.fates.get(id) === 'discarded') {
      return true;
    }
    const row = [...held.rows.values()].find((each) => each.id === id);
    const head = held.headOf(key);
    if (row === undefined || row.status === 'skipped') {
      return row !== undefined;
    }
    return (
      head !== null && (this.kafka.isPoison(head.row.id) || (head.isParked && this.kafka.refused.has(head.row.id)))
    );
  }

  /** So much is held that nothing more is read, and all of it stands behind what the sink will not have. */
  private isFullOfPoison(): boolean {
    const { truth, held } = this.database;
    const problems = this.relays.map(({ engine }) => engine.routeStatus(ROUTE).state);
    const isFull = problems.some((state) => state.kind === 'stalled' && state.problem.code === 'held_limit');
    return isFull && truth.every(({ id, key, position }) => !held.rows.has(position) || this.waitsRightly(id, key));
  }

  private async stopAll(): Promise<void> {
    let stopped = 0;
    for (const { engine } of this.relays) {
      void engine.stop().then(() => {
        stopped += 1;
      });
    }
    await this.time.runUntil(() => stopped === this.relays.length, this.time.nowMs + STOP_MS);
    this.history.rule('stops in time', stopped === this.relays.length, `${stopped} of ${this.relays.length} stopped`);
  }
}
