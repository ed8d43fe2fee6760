import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { withClient } from '../harness/servers.js';
import { Random } from '../ledger/random.js';
import { type CommittedEvent } from './delivery-check.js';

/** How much is written. */
export interface WorkloadOptions {
  readonly databaseUrl: string;
  readonly seed: number;
  readonly eventsPerSecond: number;
  /** Connections that write; 8 when left out. */
  readonly writers?: number;
}

/** What the writers saw; what was committed stands in the database. */
export interface WorkloadCounts {
  readonly commits: number;
  readonly rollbacks: number;
  /** Transactions that ended with the connection: the truth table knows what became of them. */
  readonly unknown: number;
  readonly seconds: number;
}

/** One event in a transaction that is being made up. */
interface Change {
  readonly key: string;
  readonly version: number;
}

const WRITERS = 8;
const HOT_KEYS = 32;
const COLD_KEYS = 2_000;
const RECONNECT_MS = 200;
const TYPE = 'order.changed';
/** On average a transaction has (3 * 1 + 2 + 3 + 4) / 6 events. */
const EVENTS_PER_TRANSACTION = [1, 1, 1, 2, 3, 4];
const AVERAGE_EVENTS = 2;
const ROLLBACK_ODDS = 10;
const PAUSE_ODDS = 20;
const PAUSE_MS = 40;

/** `kept_outbox` has what retention has removed, where a run has it archived. */
const TABLES_SQL = `create table kept_outbox (like millrace.outbox);
create table aggregate (key text primary key, version integer not null) with (fillfactor = 50);
create table truth (id uuid primary key, key text not null, version integer not null);
insert into aggregate select 'hot-' || n, 0 from generate_series(0, ${HOT_KEYS - 1}) n;
insert into aggregate select 'cold-' || n, 0 from generate_series(0, ${COLD_KEYS - 1}) n`;

const COMMITTED_SQL = `select coalesce(t.id, o.id)::text as id, t.key, t.version, o.aggregateid, o.aggregateversion,
  o.position::text as position, o.type, o.payload::text as payload, o.headers
from truth t full outer join (
  select id, aggregateid, aggregateversion, position, type, payload, headers from millrace.outbox
  union all
  select id, aggregateid, aggregateversion, position, type, payload, headers from kept_outbox
) o on o.id = t.id order by o.position`;

/**
 * Transactions on locked aggregates at a fixed rate: one to four events each, with growing versions per key, one in
 * ten rolled back at its end, some slow, so that positions are committed out of order. What was committed stands in
 * table `truth`, written in the same transaction. Writers survive a killed server and go on.
 */
export class Workload {
  private readonly writers: Promise<void>[] = [];
  private isStopping = false;
  private readonly startedMs = performance.now();
  private begun = 0;
  private commits = 0;
  private rollbacks = 0;
  private unknown = 0;

  private constructor(private readonly options: WorkloadOptions) {}

  static async start(options: WorkloadOptions): Promise<Workload> {
    await createTruthTables(options.databaseUrl);
    const workload = new Workload(options);
    const { seed, writers = WRITERS } = options;
    for (let index = 0; index < writers; index += 1) {
      const writer = workload.write(new Random(seed + index));
      writer.catch(() => undefined); // until `stop` tells
      workload.writers.push(writer);
    }
    return workload;
  }

  /** Lets the running transactions end. */
  async stop(): Promise<WorkloadCounts> {
    this.isStopping = true;
    await Promise.all(this.writers);
    const seconds = (performance.now() - this.startedMs) / 1_000;
    return { commits: this.commits, rollbacks: this.rollbacks, unknown: this.unknown, seconds };
  }

  private async write(random: Random): Promise<void> {
    while (!this.isStopping) {
      const client = new pg.Client({ connectionString: this.options.databaseUrl });
      client.on('error', () => undefined); // the server was killed on purpose: the next query tells
      try {
        await client.connect();
        await this.writeOn(client, random);
      } catch (error) {
        requireBrokenConnection(error);
        await sleep(RECONNECT_MS);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  private async writeOn(client: pg.Client, random: Random): Promise<void> {
    while (!this.isStopping) {
      const dueMs = (this.begun * AVERAGE_EVENTS * 1_000) / this.options.eventsPerSecond;
      const waitMs = dueMs - (performance.now() - this.startedMs);
      if (waitMs > 0) {
        await sleep(waitMs);
        continue;
      }
      // a time when the server was down is not made up for
      this.begun = waitMs < -1_000 ? this.begunBy(performance.now()) : this.begun + 1;
      this.unknown += 1;
      const isCommitted = await runTransaction(client, random);
      this.unknown -= 1;
      this.commits += Number(isCommitted);
      this.rollbacks += Number(!isCommitted);
    }
  }

  private begunBy(nowMs: number): number {
    return Math.floor(((nowMs - this.startedMs) / 1_000) * (this.options.eventsPerSecond / AVERAGE_EVENTS));
  }
}

/** Tables for what a load commits, beside the outbox. */
export async function createTruthTables(databaseUrl: string): Promise<void> {
  await withClient(databaseUrl, (client) => client.query(TABLES_SQL));
}

/** All that was committed, by position. Throws when the outbox and the truth table differ: then the server lost something. */
export async function committedEvents(databaseUrl: string): Promise<CommittedEvent[]> {
  const { rows } = await withClient(databaseUrl, (client) => client.query<CommittedRow>(COMMITTED_SQL));
  return rows.map((row) => {
    const { id, key, version, position, type, payload, headers } = row;
    if (key === null || version === null || key !== row.aggregateid || String(version) !== row.aggregateversion) {
      throw new Error(`The outbox and the table of what was committed differ in event ${id}.`);
    }
    return { id, key, version, position: BigInt(position), type, payload, headers: producersOf(headers ?? {}) };
  });
}

/** Without what the repair of a fork has written beside the producer's own, for the relay alone. */
function producersOf(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('millrace-')));
}

interface CommittedRow {
  readonly id: string;
  readonly key: string | null;
  readonly version: number | null;
  readonly aggregateid: string | null;
  readonly aggregateversion: string | null;
  readonly position: string;
  readonly type: string;
  readonly payload: string;
  readonly headers: Readonly<Record<string, string>> | null;
}

/** Two round trips: the locks, then everything else. True when it was committed. */
async function runTransaction(client: pg.Client, random: Random): Promise<boolean> {
  const keys = keysOf(random);
  const names = keys.map((key) => client.escapeLiteral(key)).join();
  // in the order of the keys, so that two writers never wait for each other
  const locks = `begin; select key, version from aggregate where key in (${names}) order by key for update`;
  const versions = await lockedVersions(client, locks);
  const changes: Change[] = [];
  for (let events = EVENTS_PER_TRANSACTION[random.below(EVENTS_PER_TRANSACTION.length)] ?? 1; events > 0; events -= 1) {
    const key = keys[random.below(keys.length)] ?? '';
    const version = (versions.get(key) ?? 0) + 1;
    versions.set(key, version);
    changes.push({ key, version });
  }
  const isCommitted = !random.isOneIn(ROLLBACK_ODDS);
  await client.query(changesSql(client, changes, random));
  if (random.isOneIn(PAUSE_ODDS)) {
    await sleep(random.below(PAUSE_MS));
  }
  await client.query(isCommitted ? 'commit' : 'rollback');
  return isCommitted;
}

async function lockedVersions(client: pg.Client, sql: string): Promise<Map<string, number>> {
  const answers: unknown = await client.query(sql);
  const rows: unknown = Array.isArray(answers) ? Reflect.get(Object(answers[1]), 'rows') : [];
  const versions = new Map<string, number>();
  for (const row of Array.isArray(rows) ? rows : []) {
    versions.set(String(Reflect.get(Object(row), 'key')), Number(Reflect.get(Object(row), 'version')));
  }
  return versions;
}

function changesSql(client: pg.Client, changes: readonly Change[], random: Random): string {
  const events: string[] = [];
  const truth: string[] = [];
  const aggregates = new Map<string, number>();
  for (const { key, version } of changes) {
    const id = randomUUID();
    const name = client.escapeLiteral(key);
    const payload = client.escapeLiteral(payloadOf(key, version, random));
    const headers = random.isOneIn(2) ? 'null' : client.escapeLiteral(JSON.stringify({ tenant: 'grün', attempt: id }));
    events.push(`('${id}', 'order', ${name}, '${TYPE}', ${version}, ${payload}, ${headers})`);
    truth.push(`('${id}', ${name}, ${version})`);
    aggregates.set(name, version);
  }
  return [
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload, headers) values ${events.join()}`,
    `insert into truth (id, key, version) values ${truth.join()}`,
    ...[...aggregates].map(([name, version]) => `update aggregate set version = ${version} where key = ${name}`),
  ].join(';\n');
}

/** JSON that a parse and print would change: spaces, numbers with zeros, escapes, keys in another order. */
function payloadOf(key: string, version: number, random: Random): string {
  const filler = 'ä€'.repeat(random.below(60));
  return `{"version":${version}, "key":"${key}","b":1.50, "a":1e2,"text":"\\u00e9 \\"${filler}\\"" ,"list":[1, 2.0,null]}`;
}

function keysOf(random: Random): string[] {
  const count = 1 + random.below(2);
  const keys = Array.from({ length: count }, () =>
    random.isOneIn(2) ? `hot-${random.below(HOT_KEYS)}` : `cold-${random.below(COLD_KEYS)}`,
  );
  return [...new Set(keys)].sort();
}

/** A writer may fail because its server is gone, has no room left or a broken disk, and for nothing else. */
function requireBrokenConnection(error: unknown): void {
  const code: unknown = Reflect.get(Object(error), 'code');
  const isRefusedStatement = error instanceof pg.DatabaseError && !/^(57P0|08|53|58)/.test(String(code));
  if (isRefusedStatement || !(error instanceof Error)) {
    throw error;
  }
}
