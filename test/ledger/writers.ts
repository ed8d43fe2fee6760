import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Random } from './random.js';

/** What the writers of a run do. */
export interface WriterOptions {
  readonly databaseUrl: string;
  readonly random: Random;
  readonly writers: number;
  readonly keys: number;
  /** By how much all pauses are longer than usual. */
  readonly slowness: number;
  /** Asked before each transaction. */
  readonly isOver: () => boolean;
}

export const TRUTH_SQL = `create table truth (id uuid primary key, key text not null, version integer not null);
create table aggregate (key text primary key, version integer not null);
insert into aggregate select 'k' || n, 0 from generate_series(0, 199) n;
insert into aggregate values ('unused', 0), ('early', 0), ('late', 0), ('slow', 0)`;

const WRITE_SQL = `with event as (
  insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
  values (gen_random_uuid(), $3::text, $1::text, 'changed', $2::int, jsonb_build_object('version', $2::int)) returning id
) insert into truth select id, $1::text, $2::int from event where $3::text = 'account'`;

/** Three events of one key with the versions after `version`, at positions next to each other. */
export function writeThreeSql(key: string, version: number): string {
  return `with event as (
    insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
    select gen_random_uuid(), 'account', '${key}', 'changed', ${version} + n, '{}' from generate_series(1, 3) n
    returning id, aggregateversion
  ) insert into truth select id, '${key}', aggregateversion from event`;
}

const STRAGGLING_MS_MAX = 600;

/**
 * Concurrent transactions on locked aggregates: one to three events each with growing versions, 15 % rolled back,
 * savepoints rolled back, some prepared and committed later, pauses everywhere so that they overlap. What was committed
 * stands in table `truth`, written in the same transaction.
 */
export async function runWriters(options: WriterOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.writers }, (_, index) => runWriter(options, index)));
}

/**
 * Two more writers that meet again and again: the younger transaction draws its positions first, the older one then
 * commits above them, before anything younger can have ended (it waits in the server for the younger one's signal, an
 * advisory lock), and the younger one stays open until all others of its time have ended.
 */
export async function runStragglers({ databaseUrl, isOver }: WriterOptions): Promise<void> {
  const older = new pg.Client(databaseUrl);
  const younger = new pg.Client(databaseUrl);
  await Promise.all([older.connect(), younger.connect()]);
  for (let version = 0; !isOver(); version += 3) {
    await younger.query('select pg_advisory_lock(1)');
    await older.query(`begin; select from aggregate where key = 'early' for update`);
    const above = older.query(`select pg_advisory_xact_lock(1); ${writeThreeSql('early', version)}; commit`);
    await younger.query(`begin; ${writeThreeSql('late', version)}; select pg_advisory_unlock(1)`);
    await above;
    await untilOldest(older, younger);
    await younger.query('commit');
  }
  await Promise.all([older.end(), younger.end()]);
}

/** Waits until nothing older than the open transaction of `younger` is left in the server, but not long. */
async function untilOldest(older: pg.Client, younger: pg.Client): Promise<void> {
  const { rows } = await younger.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  const untilMs = performance.now() + STRAGGLING_MS_MAX;
  for (let isOldest = false; !isOldest && performance.now() < untilMs;) {
    await sleep(10);
    const seen = await older.query<{ oldest: boolean }>(
      'select pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 as oldest',
      [rows[0]?.xid],
    );
    isOldest = seen.rows[0]?.oldest === true;
  }
  await sleep(40);
}

async function runWriter({ databaseUrl, random, keys, slowness, isOver }: WriterOptions, index: number): Promise<void> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  for (let round = 0; !isOver(); round += 1) {
    const key = `k${random.below(keys)}`;
    await client.query('begin');
    const locked = await client.query<{ version: number }>('select version from aggregate where key = $1 for update', [
      key,
    ]);
    let version = locked.rows[0]?.version ?? 0;
    for (let events = 1 + random.below(3); events > 0; events -= 1) {
      version += 1;
      await client.query(WRITE_SQL, [key, version, 'account']);
      await pause(random, 15 * slowness);
      if (random.isOneIn(6)) {
        await rolledBackSavepoint(client, key, version + 1);
      }
      if (random.isOneIn(5)) {
        await client.query(WRITE_SQL, [key, 0, 'noise']);
      }
    }
    await client.query('update aggregate set version = $2 where key = $1', [key, version]);
    await pause(random, 40 * slowness);
    await end(client, random, `writer ${index} round ${round}`);
  }
  await client.end();
}

async function rolledBackSavepoint(client: pg.Client, key: string, version: number): Promise<void> {
  await client.query('savepoint attempt');
  await client.query(WRITE_SQL, [key, version, 'account']);
  await client.query('rollback to savepoint attempt');
}

async function end(client: pg.Client, random: Random, name: string): Promise<void> {
  const dice = random.below(100);
  if (dice < 15) {
    await client.query('rollback');
  } else if (dice < 20) {
    const gid = client.escapeLiteral(name);
    await client.query(`prepare transaction ${gid}`);
    await pause(random, 60);
    await client.query(random.isOneIn(4) ? `rollback prepared ${gid}` : `commit prepared ${gid}`);
  } else {
    await client.query('commit');
  }
}

async function pause(random: Random, maxMs: number): Promise<void> {
  const ms = random.below(maxMs);
  if (ms > 0) {
    await sleep(ms);
  }
}

/** Opens a transaction with one statement that stays open until it is committed. */
export async function openTransaction(databaseUrl: string, sql: string): Promise<{ commit(): Promise<void> }> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  await client.query('begin');
  await client.query(sql);
  return {
    commit: async () => {
      await client.query('commit');
      await client.end();
    },
  };
}
