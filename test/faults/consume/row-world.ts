import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { retrySetAside } from '@millrace/inbox/admin';
import { createTopic } from '@millrace/testing';
import { ConsumerProcess } from '../../harness/consumer-process.js';
import { KafkaGroup } from '../../harness/kafka-group.js';
import { RecordWriter, type RelayedEvent } from '../../harness/record-writer.js';
import { copyWithEdits } from '../../harness/libs-copy.js';
import { type KafkaClient } from '../../harness/relay-process.js';
import { createMigratedDatabase, type Servers, withClient } from '../../harness/servers.js';
import { Random } from '../../ledger/random.js';
import { type AppliedProblem, checkApplied, type TrueEvent } from './applied-check.js';
import { EFFECT_TABLES_SQL, EffectsDatabase } from './effects-database.js';
import { EventMaker } from './event-maker.js';
import { SHORT_SESSIONS, WRONG_EDITS, WRONG_TABLES } from './wrong-edits.js';

/** What a run of a row is given. */
export interface RowSetup {
  readonly servers: Servers;
  readonly client: KafkaClient;
  readonly row: number;
  /** `ours`, or the name of a wrong rule: see app/wrong-rules.ts. */
  readonly rule: string;
  readonly seed: number;
}

/** What a world is made of. */
interface WorldParts {
  readonly database: EffectsDatabase;
  readonly group: KafkaGroup;
  readonly writer: RecordWriter;
  /** A copy of the built test programs and libs, with or without edits: a build beside the run does not disturb it. */
  readonly programs: string;
}

const PARTITIONS = 4;
const MAIN = join('faults', 'consume', 'app', 'main.js');
const PAGE_EVENTS = 20;
const PAGE_EVERY_MS = 50;
const CATCH_UP_MS = 30_000;
const LAG_POLL_MS = 100;
/** Held events are tried again within less. */
const QUIET_MS = 6_000;

/** Odd seeds apply one event a transaction, even ones up to 20. */
export function batchSizeOf(seed: number): number {
  return seed % 2 === 0 ? 20 : 1;
}

/** The world of one run: a database, a topic and a group of its own, its members, and what was committed. */
export class RowWorld {
  readonly committed: TrueEvent[] = [];
  readonly events: EventMaker;
  readonly random: Random;
  /** Stands still where a row wants the floors to. */
  isLowPinned = false;
  private low = 0;
  private readonly members: ConsumerProcess[] = [];

  private constructor(
    readonly setup: RowSetup,
    private readonly parts: WorldParts,
  ) {
    this.random = new Random(setup.seed * 100 + setup.row);
    this.events = new EventMaker(this.random);
  }

  static async create(setup: RowSetup): Promise<RowWorld> {
    const { servers, client, row, rule } = setup;
    const name = `row-${row}-${rule}-${client}`;
    const { brokers } = servers.kafka;
    const topic = `outbox.event.${name}`;
    await createTopic({ brokers, topic, partitions: PARTITIONS });
    const url = await createMigratedDatabase(servers.postgres, name.replaceAll('-', '_'));
    await withClient(url, (database) => database.query(`${EFFECT_TABLES_SQL};\n${WRONG_TABLES[rule] ?? ''}`));
    const database = new EffectsDatabase(url);
    database.startReading();
    const writer = await RecordWriter.open({ brokers, client, topic });
    const programs = copyWithEdits(join(servers.folder, `${name}-programs`), [
      ...SHORT_SESSIONS,
      ...(WRONG_EDITS[rule] ?? []),
    ]);
    return new RowWorld(setup, { database, writer, programs, group: new KafkaGroup(brokers, name, topic) });
  }

  get database(): EffectsDatabase {
    return this.parts.database;
  }

  get group(): KafkaGroup {
    return this.parts.group;
  }

  /** About how many transactions it takes to apply so many events. */
  transactions(events: number): number {
    return Math.ceil(events / batchSizeOf(this.setup.seed));
  }

  get partitions(): number {
    return PARTITIONS;
  }

  get isOurs(): boolean {
    return this.setup.rule === 'ours';
  }

  /** The log of a member, over all its lives. */
  logOf(member: string): string {
    return `${join(this.setup.servers.folder, `${this.group.group}-${member}`)}.log`;
  }

  /** Starts a member of the group; resolves at once. */
  start(member: string, environment: Readonly<Record<string, string>> = {}): ConsumerProcess {
    const { servers, client, rule, seed } = this.setup;
    const started = new ConsumerProcess({
      member,
      main: join(this.parts.programs, MAIN),
      file: this.logOf(member).slice(0, -'.log'.length),
      databaseUrl: this.database.url,
      brokers: servers.kafka.brokers,
      client,
      consumer: this.group.group,
      topic: this.group.topic,
      nodeArguments: ['--enable-source-maps'],
      environment: {
        CONSUMER_RULE: rule,
        CONSUMER_SESSION_TIMEOUT_MS: '3000',
        CONSUMER_BATCH_SIZE: String(batchSizeOf(seed)),
        ...environment,
      },
    });
    this.members.push(started);
    return started;
  }

  /** Starts a member and waits until it has all partitions. */
  async startAlone(member: string, environment: Readonly<Record<string, string>> = {}): Promise<ConsumerProcess> {
    const started = this.start(member, environment);
    await started.hasPartitions(PARTITIONS);
    return started;
  }

  /** Sends what was committed just now, in pages, as a relay does: low follows what was stored. */
  async publish(events: readonly RelayedEvent[]): Promise<void> {
    this.committed.push(...events);
    for (let at = 0; at < events.length; at += PAGE_EVENTS) {
      const page = events.slice(at, at + PAGE_EVENTS);
      await this.parts.writer.send(page, this.low);
      this.low = this.isLowPinned ? this.low : (page.at(-1)?.position ?? this.low);
    }
  }

  /** Sends records once more, as a relay does that has lost its memory of them. */
  async publishAgain(events: readonly RelayedEvent[]): Promise<void> {
    await this.parts.writer.send(events, this.low);
  }

  /** Publishes at about this rate while something else goes on. */
  async publishDuring(work: Promise<unknown>, perSecond: number, next: () => RelayedEvent): Promise<void> {
    const startedMs = performance.now();
    const course = { isOver: false, sent: 0 };
    const over = Promise.allSettled([work]).then(() => {
      course.isOver = true;
    });
    while (!course.isOver) {
      const due = Math.floor(((performance.now() - startedMs) / 1_000) * perSecond);
      await this.publish(Array.from({ length: due - course.sent }, next));
      course.sent = due;
      await sleep(PAGE_EVERY_MS);
    }
    await over;
    await work;
  }

  /** Has a parked key tried again, as an operator does. */
  async release(key: string): Promise<void> {
    const request = { consumer: this.group.group, actor: 'the fault run', reason: 'the handler is mended' };
    await retrySetAside({ databaseUrl: this.database.url }, { ...request, filter: { key } });
  }

  /**
   * Waits until all that was committed has had its effect and the group has nothing left. Gives up early when the group
   * has nothing left and nothing happens any more.
   */
  async settled(withinMs = CATCH_UP_MS): Promise<AppliedProblem[]> {
    const startedMs = performance.now();
    let last = { applied: -1, sinceMs: startedMs };
    while (performance.now() - startedMs < withinMs) {
      const applied = await this.database.countApplied().catch(() => -1); // a server that was killed on purpose
      const lag = await this.group.lag();
      if (applied >= this.committed.length && lag === 0) {
        return [];
      }
      last = applied === last.applied && lag === 0 ? last : { applied, sinceMs: performance.now() };
      if (performance.now() - last.sinceMs > QUIET_MS) {
        break;
      }
      await sleep(LAG_POLL_MS);
    }
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    const lag = await this.group.lag();
    const text = `${last.applied} of ${this.committed.length} applied, ${lag} records not committed after ${seconds} s`;
    return [{ kind: 'late', text }];
  }

  /** Ends all members in order, and holds what the database has against what was committed. */
  async verdict(isOrdered = true): Promise<AppliedProblem[]> {
    await Promise.all(this.members.map(async (member) => member.end('SIGTERM')));
    return checkApplied(this.committed, await this.database.history(), { isOrdered });
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map(async (member) => member.end('SIGKILL')));
    await this.database.history().catch(() => undefined);
    await this.parts.writer.close();
    await this.group.close();
  }
}
