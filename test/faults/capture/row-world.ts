import { type CaptureMode } from '@millrace/capture';
import { routeOfHeader } from '@millrace/events';
import { type ConsumedRecord, freePort, LocalPostgres } from '@millrace/testing';
import pg from 'pg';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type KafkaClient,
  RelayProcess,
  type RelayProcessOptions,
  type RelayRoute,
} from '../../harness/relay-process.js';
import { createMigratedDatabase, withClient } from '../../harness/servers.js';
import { Random } from '../../ledger/random.js';
import { checkDeliveries, type CommittedEvent, type Problem, type Repeat } from '../delivery-check.js';
import { countText } from '../run-report.js';
import { committedEvents, Workload } from '../workload.js';
import { type CaptureRow } from './capture-row.js';
import { type Finding, type FindingKind } from './findings.js';
import { kafkaTarget, type RowTarget } from './row-target.js';
import { IS_SETTLED_SQL, LAST_COMMITTED_SQL } from './settled.sql.js';

/** What a run of a row is given. */
export interface RowSetup {
  readonly folder: string;
  readonly brokers: readonly string[];
  /** The relay's program: a copy, so that a build beside the run does not disturb it. */
  readonly relayMain: string;
  readonly client: KafkaClient;
  readonly row: CaptureRow;
  readonly mode: CaptureMode;
  readonly seed: number;
  /** Topics of four partitions on these brokers when left out. */
  readonly target?: RowTarget | undefined;
}

/** What the run of a row has shown. */
export interface RowVerdict {
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
  readonly committed: number;
  readonly repeats: number;
  /** The longest that it took to publish again after a fault; `undefined` when the row did not ask. */
  readonly recoveredMs: number | undefined;
}

/** How a row usually begins. */
export interface Beginning {
  readonly eventsPerSecond?: number;
  /** Connections of the load. */
  readonly writers?: number;
  readonly relays?: readonly string[];
}

const EVENTS_PER_SECOND = 300;
/** On a busy machine a relay starts slowly. */
const START_MS = 60_000;
const RECOVER_MS = 30_000;
const TOLD_MS = 10_000;
const POLL_MS = 50;
const LOOK_MS = 100;
const POSTGRES_SETTINGS = { shared_buffers: '128MB', max_slot_wal_keep_size: -1 };
/** With the rights that the documentation names, and no more. */
const RELAY_ROLE = 'relay_under_test';

/** The world of one run of a row: a PostgreSQL, topics and relays of its own, a load, and what was found. */
export class RowWorld {
  readonly random: Random;
  readonly postgres: LocalPostgres;
  readonly relays = new Map<string, RelayProcess>();
  /** For extra servers, whose data goes with the run's. */
  readonly folder: string;
  private readonly findings: Finding[] = [];
  private readonly notes: string[] = [];
  private readonly closers: (() => Promise<unknown>)[] = [];
  private load: RowLoad | undefined;
  private recoveredMs: number | undefined;
  private readonly target: RowTarget;
  private turnOf: ((record: ConsumedRecord) => number) | undefined;
  private excuse: (problem: Problem, route: string) => boolean = () => false;
  private causeOf: ((repeat: Repeat, route: string) => string) | undefined;
  private isRepeatFound = false;
  private url = '';

  private constructor(readonly setup: RowSetup) {
    const { folder, row, mode, client, seed, brokers, target = kafkaTarget(() => brokers) } = setup;
    this.target = target;
    this.random = new Random(seed);
    this.folder = join(folder, `row-${row.id}-${mode}-${client}`);
    this.postgres = new LocalPostgres({
      dataDir: join(this.folder, 'postgres'),
      settings: { ...POSTGRES_SETTINGS, ...row.postgresSettings },
      temporaryDir: folder,
    });
    this.closers.push(async () => this.postgres.stop('immediate'));
  }

  static async create(setup: RowSetup): Promise<RowWorld> {
    const world = new RowWorld(setup);
    try {
      await world.postgres.start();
      world.url = await createMigratedDatabase(world.postgres, 'faults');
      await world.query(`create role ${RELAY_ROLE} login replication; grant millrace_relay to ${RELAY_ROLE}`);
      for (const topic of new Set(world.routes.map((route) => route.topic))) {
        await world.target.makeTopic(topic);
      }
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  get mode(): CaptureMode {
    return this.setup.mode;
  }

  /** The producers', as superuser. */
  get databaseUrl(): string {
    return this.url;
  }

  /** From now on producers, relays and queries find the database at this port. */
  moveTo(port: number): void {
    this.url = Object.assign(new URL(this.url), { port }).toString();
  }

  /** With the relay's rights; of another port where one is given. */
  relayUrl(port?: number): string {
    return Object.assign(new URL(this.url), { username: RELAY_ROLE, ...(port !== undefined && { port }) }).toString();
  }

  get routes(): readonly RelayRoute[] {
    const { row, mode, client } = this.setup;
    const names = row.routes ?? ['faults'];
    const topicOf = (name: string): string => `row.${row.id}.${mode}.${client}.${name}`;
    return names.map((name) => ({
      name,
      topic: topicOf(row.areRoutesInOneTopic === true ? (names[0] ?? name) : name),
    }));
  }

  /** Says something in the table of results. */
  note(text: string): void {
    this.notes.push(text);
  }

  /** A promise was broken. */
  found(kind: FindingKind, text: string): void {
    this.findings.push({ kind, text });
  }

  /** A problem of the topics that this row has on purpose, and that it accounts for itself. */
  excuses(excuse: (problem: Problem, route: string) => boolean): void {
    this.excuse = excuse;
  }

  /** The topics are to be read turn by turn: see `checkDeliveries`. */
  readsInTurns(turnOf: (record: ConsumedRecord) => number): void {
    this.turnOf = turnOf;
  }

  /** What each repeat is due to; counted by it in the table of results. */
  explains(causeOf: (repeat: Repeat, route: string) => string): void {
    this.causeOf = causeOf;
  }

  /** Nothing is killed or lost in this row: every event is to come once. */
  allowsNoRepeats(): void {
    this.isRepeatFound = true;
  }

  /** Is done when the row ends, the last first. */
  atEnd(work: () => Promise<unknown>): void {
    this.closers.push(work);
  }

  /** Runs one statement as superuser. */
  async query<Row extends object>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    return withClient(this.url, async (client) => (await client.query<Row>(sql, [...values])).rows);
  }

  /** A connection of superuser that ends with the row; one that a killed server ends says so at its next statement. */
  async connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url, application_name: 'millrace run' });
    client.on('error', () => undefined);
    await client.connect();
    this.atEnd(async () => client.end());
    return client;
  }

  /** The highest position that is committed. */
  async lastCommitted(): Promise<bigint> {
    const [row] = await this.query<{ position: string }>(LAST_COMMITTED_SQL);
    return BigInt(row?.position ?? 0);
  }

  /** The relay that was started by this name. */
  relay(name = 'relay'): RelayProcess {
    const relay = this.relays.get(name);
    if (relay === undefined) {
      throw new Error(`No relay ${name} has been started.`);
    }
    return relay;
  }

  /** Starts a relay; resolves at once. A name that was used before goes on with the log of that one. */
  async startRelay(name: string, given: Partial<RelayProcessOptions> = {}): Promise<RelayProcess> {
    const { brokers, client, relayMain, mode } = this.setup;
    const relay = new RelayProcess({
      main: relayMain,
      file: join(this.folder, name),
      databaseUrl: this.relayUrl(),
      brokers,
      client,
      capture: mode,
      port: this.relays.get(name)?.options.port ?? (await freePort()),
      routes: this.routes,
      sink: this.target.sink,
      ...given,
      environment: { ...this.target.environment, ...given.environment },
    });
    this.relays.set(name, relay);
    return relay;
  }

  /** Starts transactions at a rate; they go on over faults until `endLoad`, or the end of the row. */
  async startLoad(eventsPerSecond = EVENTS_PER_SECOND, writers?: number): Promise<void> {
    const { seed } = this.setup;
    this.load = await Workload.start({
      databaseUrl: this.url,
      seed,
      eventsPerSecond,
      ...(writers !== undefined && { writers }),
    });
  }

  /** Another load than that of `startLoad`, instead of it. */
  takeLoad(load: RowLoad): void {
    this.load = load;
  }

  /** Lets the running transactions end. */
  async endLoad(): Promise<void> {
    const load = this.load;
    this.load = undefined;
    await load?.stop();
  }

  /** Relays and load, until they publish and, where the mode says so, read the stream. */
  async begin({ eventsPerSecond, writers, relays = ['relay'] }: Beginning = {}): Promise<void> {
    for (const name of relays) {
      await this.startRelay(name);
    }
    await this.startLoad(eventsPerSecond, writers);
    await this.settles(START_MS);
    await this.streams(START_MS);
  }

  /** Milliseconds until all that is committed now is published by all routes; `undefined` when not in time. */
  async settles(withinMs = RECOVER_MS): Promise<number | undefined> {
    const startedMs = performance.now();
    let position: bigint | undefined;
    while (performance.now() - startedMs < withinMs) {
      try {
        position ??= await this.lastCommitted();
        const [row] = await this.query<{ is_settled: boolean }>(IS_SETTLED_SQL, [position, this.routes.length]);
        if (row?.is_settled === true) {
          return performance.now() - startedMs;
        }
      } catch {
        // the server is down or starting: the time runs
      }
      await sleep(POLL_MS);
    }
    return undefined;
  }

  /**
   * The fault is over from here on: what is committed by now must be published within 30 s, without hands; while there is a
   * load, the next of its commits as well.
   */
  async recovers(what = 'the fault'): Promise<void> {
    const startedMs = performance.now();
    const last = await this.lastCommitted().catch(() => 0n);
    const isAtWork =
      this.load === undefined || (await this.holds(RECOVER_MS, async () => (await this.lastCommitted()) > last));
    const isSettled = (await this.settles(RECOVER_MS - (performance.now() - startedMs))) !== undefined;
    if (!isAtWork || !isSettled) {
      this.found('late', `not published within ${RECOVER_MS / 1_000} s after ${what}`);
    }
    this.recoveredMs = Math.max(this.recoveredMs ?? 0, performance.now() - startedMs);
  }

  /** In the modes that want it: waits until every route is read from the stream by the relay that has it. */
  async streams(withinMs = START_MS): Promise<void> {
    if (this.mode === 'polling') {
      return;
    }
    const startedMs = performance.now();
    if (!(await this.holds(withinMs, async () => this.areRead('stream')))) {
      this.found('late', `a route was not read from the stream within ${withinMs / 1_000} s`);
    }
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    this.note(`stream after ${seconds} s`);
  }

  /** Whether every route is read so by the relay that has it. */
  async areRead(from: 'stream' | 'table'): Promise<boolean> {
    const views = await this.routeViews();
    return this.routes.every(({ name }) => views.some((view) => view.name === name && view.capture?.reading === from));
  }

  /** What the admin APIs of all running relays show of the routes; empty for those that do not answer. */
  async routeViews(): Promise<readonly RouteView[]> {
    const running = [...this.relays.values()].filter((relay) => relay.isRunning);
    const answers = await Promise.all(running.map(async (relay) => relay.admin('GET', 'routes').catch(() => ({}))));
    return answers.flatMap((answer) => (Reflect.get(Object(answer), 'routes') ?? []) as readonly RouteView[]);
  }

  /** Waits until something holds; false when it does not in time. An error counts as no. */
  async holds(withinMs: number, check: () => Promise<boolean>): Promise<boolean> {
    const deadlineMs = performance.now() + withinMs;
    while (performance.now() < deadlineMs) {
      if (await check().catch(() => false)) {
        return true;
      }
      await sleep(LOOK_MS);
    }
    return false;
  }

  /** Where the relays' logs end now. */
  logMark(): LogMark {
    return new Map([...this.relays].map(([name]) => [name, sizeOf(this.logOf(name))]));
  }

  /** The lines that the relays have logged since the mark. */
  logSince(mark: LogMark): string {
    return [...this.relays]
      .map(([name]) =>
        readFileSync(this.logOf(name))
          .subarray(mark.get(name) ?? 0)
          .toString(),
      )
      .join('\n');
  }

  /** The fault is to be told in a relay's log within ten seconds. */
  async tells(pattern: RegExp, since: LogMark, withinMs = TOLD_MS): Promise<void> {
    const isTold = await this.holds(withinMs, async () => Promise.resolve(pattern.test(this.logSince(since))));
    if (!isTold) {
      this.found('told', `no relay logged ${String(pattern)} within ${withinMs / 1_000} s`);
    }
  }

  logOf(name: string): string {
    return join(this.folder, `${name}.log`);
  }

  /** Ends the load, waits for the rest, ends the relays, and holds the topics against what was committed. */
  async verdict(): Promise<RowVerdict> {
    await this.endLoad();
    if ((await this.settles()) === undefined) {
      this.found('late', `not everything is published ${RECOVER_MS / 1_000} s after the end`);
    }
    await Promise.all([...this.relays.values()].map(async (relay) => relay.end('SIGTERM')));
    const committed = await committedEvents(this.url);
    const causes: string[] = [];
    for (const route of this.routes) {
      const records = await this.target.recordsOf(route.topic);
      const own = records.filter((record) => this.isOf(record, route.name));
      causes.push(...this.judge(committed, own, route.name));
    }
    if (this.causeOf !== undefined && causes.length > 0) {
      this.note(`repeats: ${countText(causes)}`);
    }
    const { findings, notes, recoveredMs } = this;
    return { findings, notes, recoveredMs, repeats: causes.length, committed: committed.length };
  }

  /** What was found so far, of a row that could not be ended. */
  brokenOff(): RowVerdict {
    const { findings, notes, recoveredMs } = this;
    return { findings, notes, recoveredMs, repeats: 0, committed: 0 };
  }

  async close(): Promise<void> {
    await Promise.all([...this.relays.values()].map(async (relay) => relay.end('SIGKILL')));
    for (const work of this.closers.reverse()) {
      await work().catch(() => undefined);
    }
    await this.endLoad().catch(() => undefined);
  }

  /** In a topic of one route every record is its own, whatever the record says. */
  private isOf({ headers }: ConsumedRecord, route: string): boolean {
    const isShared = this.setup.row.areRoutesInOneTopic === true;
    return !isShared || routeOfHeader(headers['millrace-route'] ?? '') === route;
  }

  /** Returns the cause of each repeat. */
  private judge(committed: readonly CommittedEvent[], records: readonly ConsumedRecord[], route: string): string[] {
    const { problems, repeats } = checkDeliveries(committed, records, { source: 'main', route }, this.turnOf);
    this.findings.push(...problems.filter((problem) => !this.excuse(problem, route)));
    if (this.isRepeatFound && repeats.length > 0) {
      this.found('repeated', `${repeats.length} events came again on route ${route}`);
    }
    return repeats.map((repeat) => this.causeOf?.(repeat, route) ?? '');
  }
}

/** What writes events until it is stopped; its transactions are in the tables of a `Workload`. */
export interface RowLoad {
  stop(): Promise<unknown>;
}

/** A place in the log of each relay. */
export type LogMark = ReadonlyMap<string, number>;

/** What of the admin API's view of a route the rows look at. */
export interface RouteView {
  readonly name: string;
  readonly relay: string;
  readonly state: { readonly kind: string; readonly problem?: { readonly code: string; readonly message: string } };
  readonly claim: { readonly epoch: string; readonly low: string; readonly high: string } | null;
  /** `null` like `claim`: only the relay that holds the lease knows. */
  readonly capture: {
    readonly reading: 'table' | 'stream';
    readonly slot: { readonly state: string; readonly message: string } | null;
  } | null;
  readonly lagSeconds: number | null;
}

function sizeOf(file: string): number {
  return statSync(file).size;
}
