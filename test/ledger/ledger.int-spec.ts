import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import pg from 'pg';
import { Random } from './random.js';
import { readAll, type Reading } from './reading.js';
import { openTransaction, runWriters, TRUTH_SQL } from './writers.js';

const SEEDS = (process.env['MILLRACE_LEDGER_SEEDS'] ?? '1,2,3').split(',').map(Number);
const WRITING_MS = 4_000;
const LATE_MS = 1_000;
const LATE_EVENT_SQL = `with event as (
  insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
  values (gen_random_uuid(), 'account', 'late', 'changed', 1, '{}') returning id
) insert into truth select id, 'late', 1 from event`;

/**
 * Two transactions with an xid are open all the time, one here and one in another database. What stays open at once is
 * a few hundred ranges; with the snapshot's xmin alone as evidence all rollbacks of the run stay.
 */
const GAP_RANGES_MAX = 300;

describe('the ledger on a real PostgreSQL', () => {
  let database: TestDatabase;
  let elsewhere: TestDatabase;

  beforeEach(async () => {
    database = await createTestDatabase();
    elsewhere = await createTestDatabase({ isMigrated: false });
    await run(database.url, TRUTH_SQL);
    await run(elsewhere.url, 'create table busy (n integer)');
  });

  afterEach(async () => {
    await database.drop();
    await elsewhere.drop();
  });

  const cases = SEEDS.map((seed) => ({ seed, pageRowsMax: seed % 3 === 0 ? 1 : seed % 3 === 1 ? 1_000 : 7 }));

  it.each(cases)(
    'hands out every committed event once and in order under 16 writers (seed $seed, pages of $pageRowsMax)',
    async ({ seed, pageRowsMax }) => {
      let isWritten = false;
      const reading = readAll({ databaseUrl: database.url, pageRowsMax }, (now) => isWritten && now.gapRanges === 0);
      const busyHere = await openTransaction(database.url, `update aggregate set version = 0 where key = 'unused'`);
      const busyElsewhere = await openTransaction(elsewhere.url, 'insert into busy values (1)');
      const writing = runWriters({
        databaseUrl: database.url,
        random: new Random(seed),
        writers: 16,
        keys: 48,
        untilMs: performance.now() + WRITING_MS,
      });
      const late = await openTransaction(database.url, LATE_EVENT_SQL);
      await sleep(LATE_MS);
      await late.commit();
      await writing;
      isWritten = true;
      const seen = await within(reading, 20_000, 'the ledger never had all gaps settled').finally(async () => {
        await Promise.all([busyHere.commit(), busyElsewhere.commit()]);
      });

      expect(await difference(database.url, seen)).toEqual({ lost: 0, invented: 0 });
      expect(new Set(seen.ids).size).toBe(seen.ids.length);
      expect(seen.reordered).toEqual([]);
      expect(seen.gapRangesMax).toBeLessThan(GAP_RANGES_MAX);
      expect(seen.low).toBe(seen.high);
    },
    60_000,
  );
});

async function run(url: string, sql: string): Promise<pg.QueryResult<Record<string, unknown>>> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await client.query<Record<string, unknown>>(sql);
  } finally {
    await client.end();
  }
}

async function difference(url: string, seen: Reading): Promise<{ lost: number; invented: number }> {
  const truth = await run(url, 'select id from truth');
  const ids = new Set(seen.ids);
  const written = new Set(truth.rows.map((row) => String(row['id'])));
  return {
    lost: [...written].filter((id) => !ids.has(id)).length,
    invented: [...ids].filter((id) => !written.has(id)).length,
  };
}

async function within<Result>(work: Promise<Result>, ms: number, what: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`After ${ms} ms ${what}.`));
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
