import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CaptureMode, createOutboxSource } from '@millrace/capture';
import { type ForkRepaired, RelayEngine } from '@millrace/relay';
import { migrate } from '@millrace/schema';
import {
  FAST_UNSAFE_SETTINGS,
  FaultProxy,
  PostgresStandby,
  TemporaryPostgres,
  testKafkaBrokers,
  uniqueName,
} from '@millrace/testing';
import { createKafkaSink, type SinkPort } from '@millrace/transport';
import pg from 'pg';

/** A record that the topic of a route has. */
export interface TopicRecord {
  readonly id: string;
  readonly position: bigint;
  readonly key: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** An event of the outbox, as its producer committed it. */
export interface CommittedEvent {
  readonly id: string;
  readonly key: string;
  readonly position: bigint;
}

/** What a relay of the world is made with. */
export interface RelayParts {
  readonly sink?: SinkPort;
  readonly capture?: CaptureMode;
  readonly shards?: number;
}

const DATABASE = 'shop';
const KEYS = 7;
const DEADLINE_MS = 90_000;
const LOOK_MS = 100;
/** Leases and drains that outlive a slow machine: what is sent anew after one that did not would be a second copy. */
const TUNING = { leaseTtlMs: 15_000, leaseMarginMs: 2_500, claimRetryMaxMs: 500, drainMs: 5_000, standbyLookMs: 200 };

/**
 * A database with a standby, an address that leads to whichever is to be the primary, and a relay with two routes. Ends
 * with `close`.
 */
export class ForkWorld {
  readonly primary = new TemporaryPostgres(FAST_UNSAFE_SETTINGS);
  readonly prefix = uniqueName('fork');
  readonly repairs: ForkRepaired[] = [];
  private readonly engines: RelayEngine[] = [];
  private standby: PostgresStandby | null = null;
  private address: FaultProxy | null = null;
  private producer: pg.Client | null = null;
  private count = 0;
  private isClosed = false;

  async start(): Promise<void> {
    await this.primary.start();
    const admin = new pg.Client({ connectionString: this.primary.adminUrl });
    await admin.connect();
    await admin.query(`create database ${DATABASE}`);
    await admin.end();
    await migrate({ databaseUrl: this.primary.databaseUrl(DATABASE) });
    this.assertOpen();
    this.standby = await PostgresStandby.of(this.primary, FAST_UNSAFE_SETTINGS);
    this.assertOpen();
    this.address = await FaultProxy.start({ target: { port: this.primary.port }, protocol: 'postgres' });
    await this.produceOn(this.primary.databaseUrl(DATABASE));
  }

  /** Where the relay finds the database. */
  get databaseUrl(): string {
    return `postgres://postgres@127.0.0.1:${String(this.address?.port)}/${DATABASE}`;
  }

  /** A relay of its own with both routes, `orders` and `audit`. */
  relay(owner: string, { sink = this.sink(), capture = 'polling', shards = 1 }: RelayParts = {}): RelayEngine {
    this.assertOpen();
    const routes = ['orders', 'audit'].map((name) => ({
      name,
      source: 'shop',
      sink: 'kafka',
      topic: this.topicOf(name),
      shards,
      tuning: TUNING,
    }));
    const source = createOutboxSource({ name: 'shop', databaseUrl: this.databaseUrl, capture });
    const engine = new RelayEngine({
      owner,
      sources: new Map([['shop', source]]),
      sinks: new Map([['kafka', sink]]),
      routes,
      sharing: { beatMs: 400, presenceTtlMs: 2_000, graceMs: 300, settlingMs: 500 },
      observer: {
        forkRepaired: (repaired) => {
          this.repairs.push(repaired);
        },
      },
    });
    this.engines.push(engine);
    engine.start();
    return engine;
  }

  sink(): SinkPort {
    return createKafkaSink({
      client: 'platformatic',
      connection: { brokers: testKafkaBrokers() },
      topics: { create: true, partitions: 3, replication: 1 },
    });
  }

  topicOf(route: string): string {
    return `${this.prefix}.${route}`;
  }

  /** Commits so many events, one transaction each, over a few keys. */
  async commit(events: number): Promise<CommittedEvent[]> {
    const committed: CommittedEvent[] = [];
    for (let at = 0; at < events; at += 1) {
      const id = randomUUID();
      const key = `key-${this.count++ % KEYS}`;
      const { rows } = (await this.producer?.query<{ position: string }>(
        `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload) values ($1, 'order', $2, 'placed', '{}')
         returning position`,
        [id, key],
      )) ?? { rows: [] };
      committed.push({ id, key, position: BigInt(rows[0]?.position ?? 0) });
    }
    return committed;
  }

  async caughtUp(): Promise<void> {
    await this.standby?.caughtUp(this.primary);
  }

  /** A transaction that has written an event and stays open until it is ended, or its server is. */
  async openWriter(): Promise<pg.Client> {
    const writer = new pg.Client({ connectionString: this.primary.databaseUrl(DATABASE) });
    writer.on('error', () => undefined);
    await writer.connect();
    await writer.query('begin');
    await writer.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
       values (gen_random_uuid(), 'order', 'open', 'placed', '{}')`,
    );
    return writer;
  }

  /** What is committed from now on will be missing after `failOver`. */
  async cutOff(): Promise<void> {
    await this.caughtUp();
    await this.standby?.cutOff();
  }

  /** The primary dies and the standby takes over; producers go on there. The relay comes to it with `lead`. */
  async failOver(): Promise<void> {
    await this.address?.stop();
    await this.producer?.end().catch(() => undefined);
    await this.primary.stop('immediate');
    await this.standby?.promote();
    await this.produceOn(this.standby?.databaseUrl(DATABASE) ?? '');
  }

  /** The address leads to the new primary. */
  async lead(): Promise<void> {
    this.assertOpen();
    const target = { port: this.standby?.port ?? 0 };
    this.address = await FaultProxy.start({ target, protocol: 'postgres', port: this.address?.port });
  }

  /** Asks the primary. */
  async query<Row extends pg.QueryResultRow>(statement: string): Promise<Row[]> {
    return (await this.producer?.query<Row>(statement))?.rows ?? [];
  }

  /** All records of the route's topic: per partition in their order. */
  async topic(route: string): Promise<TopicRecord[]> {
    this.assertOpen();
    const records: TopicRecord[] = [];
    const sink = this.sink();
    const { signal } = new AbortController();
    const request = { isWanted: (name: string) => name === this.topicOf(route), sinceMs: 0, signal };
    const reading = sink.readBack?.(request, (found) => {
      for (const { headers, key, partition, offset } of found) {
        const position = BigInt(String(headers.get('millrace-position')));
        records.push({ id: String(headers.get('id')), position, key: String(key), partition, offset });
      }
      return Promise.resolve();
    });
    // a topic that has just been made may not answer yet
    await reading?.catch(() => undefined);
    await sink.stop();
    return records;
  }

  /** Waits until the route's topic has all of these. */
  async published(route: string, events: readonly CommittedEvent[]): Promise<TopicRecord[]> {
    const deadline = performance.now() + DEADLINE_MS;
    for (;;) {
      const records = await this.topic(route);
      const ids = new Set(records.map(({ id }) => id));
      const missing = events.filter(({ id }) => !ids.has(id));
      if (missing.length === 0) {
        return records;
      }
      if (performance.now() > deadline) {
        const states = this.engines.map((engine) => JSON.stringify(engine.routeStatus(route).state));
        throw new Error(`${missing.length} of ${events.length} events are not in ${route}: ${states.join(' ')}`);
      }
      await sleep(LOOK_MS);
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.engines.map((engine) => engine.stop()));
    await this.producer?.end().catch(() => undefined);
    await this.address?.stop();
    await this.standby?.remove();
    await this.primary.remove();
  }

  private async produceOn(databaseUrl: string): Promise<void> {
    this.assertOpen();
    this.producer = new pg.Client({ connectionString: databaseUrl });
    this.producer.on('error', () => undefined);
    await this.producer.connect();
  }

  /** A test that was cut off after its time goes on behind its end: it is to open nothing any more. */
  private assertOpen(): void {
    if (this.isClosed) {
      throw new Error('The test is over.');
    }
  }
}
