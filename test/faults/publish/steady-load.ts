import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Random } from '../../ledger/random.js';
import { createTruthTables } from '../workload.js';

/** How much is written. */
export interface SteadyLoadOptions {
  readonly databaseUrl: string;
  readonly seed: number;
  readonly eventsPerSecond: number;
}

/** One may wait for its commit while another writes. */
const WRITERS = 4;
/** So many that each of a dozen partitions has some. */
const KEYS_PER_WRITER = 100;
const EVENTS_PER_TRANSACTION = 40;
const ROLLBACK_ODDS = 10;
/** What a slow machine has not managed is not made up for. */
const BEHIND_MS = 1_000;

/** In the order of the arrays: the positions of a key grow with its versions. */
const WRITE_SQL = `with written as (
  insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
  select uuidv7(), 'order', key, 'order.changed', version, jsonb_build_object('key', key, 'version', version, 'filler', repeat('x', 100))
  from unnest($1::text[], $2::int[]) as change(key, version)
  returning id, aggregateid, aggregateversion)
insert into truth (id, key, version) select id, aggregateid, aggregateversion from written`;

/**
 * Many events a second for little processor time: large transactions, each on keys that only its writer has, one in ten
 * rolled back. What was committed stands in table `truth` as with a `Workload`. For faults that do not touch the database.
 */
export class SteadyLoad {
  private readonly startedMs = performance.now();
  private readonly writers: Promise<void>[] = [];
  private isStopping = false;
  private due = 0;
  private committed = 0;
  private endedMs: number | undefined;

  private constructor(private readonly options: SteadyLoadOptions) {}

  static async start(options: SteadyLoadOptions): Promise<SteadyLoad> {
    await createTruthTables(options.databaseUrl);
    const load = new SteadyLoad(options);
    for (let writer = 0; writer < WRITERS; writer += 1) {
      const writing = load.write(writer);
      writing.catch(() => undefined); // until `stop` tells
      load.writers.push(writing);
    }
    return load;
  }

  /** Events that were committed for each second up to now, or up to the end. */
  get eventsPerSecond(): number {
    return this.committed / (((this.endedMs ?? performance.now()) - this.startedMs) / 1_000);
  }

  /** Lets the running transactions end. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await Promise.all(this.writers);
    this.endedMs ??= performance.now();
  }

  private async write(writer: number): Promise<void> {
    const client = new pg.Client({ connectionString: this.options.databaseUrl, application_name: 'millrace run' });
    client.on('error', () => undefined); // a server that ends before the load, as after an error of the row: the next query tells
    await client.connect();
    try {
      const keys = new OwnKeys(writer, new Random(this.options.seed + writer));
      while (!this.isStopping) {
        await this.waitForTurn();
        this.committed += await keys.change(client);
      }
    } finally {
      await client.end();
    }
  }

  private async waitForTurn(): Promise<void> {
    const nowMs = performance.now() - this.startedMs;
    const dueMs = (this.due * EVENTS_PER_TRANSACTION * 1_000) / this.options.eventsPerSecond;
    const isBehind = dueMs < nowMs - BEHIND_MS;
    this.due = isBehind
      ? Math.floor((nowMs * this.options.eventsPerSecond) / EVENTS_PER_TRANSACTION / 1_000)
      : this.due + 1;
    await sleep(Math.max(0, dueMs - nowMs));
  }
}

/** The keys of one writer, and the version that each has reached. */
class OwnKeys {
  private readonly versions: readonly { readonly key: string; version: number }[];

  constructor(
    writer: number,
    private readonly random: Random,
  ) {
    this.versions = Array.from({ length: KEYS_PER_WRITER }, (_, index) => ({
      key: `key-${writer}-${index}`,
      version: 0,
    }));
  }

  /** One transaction; returns how many events it has committed. */
  async change(client: pg.Client): Promise<number> {
    const isCommitted = !this.random.isOneIn(ROLLBACK_ODDS);
    const before = this.versions.map(({ version }) => version);
    const changes: { readonly key: string; readonly version: number }[] = [];
    while (changes.length < EVENTS_PER_TRANSACTION) {
      const own = this.versions[this.random.below(KEYS_PER_WRITER)];
      if (own !== undefined) {
        own.version += 1;
        changes.push({ key: own.key, version: own.version });
      }
    }
    await client.query('begin');
    await client.query({
      name: 'write',
      text: WRITE_SQL,
      values: [changes.map(({ key }) => key), changes.map(({ version }) => version)],
    });
    await client.query(isCommitted ? 'commit' : 'rollback');
    if (!isCommitted) {
      this.versions.forEach((own, index) => {
        own.version = before[index] ?? 0;
      });
    }
    return isCommitted ? changes.length : 0;
  }
}
