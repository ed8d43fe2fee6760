import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appendFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { Random } from './random.js';
import { readAll, type Reading } from './reading.js';
import { openTransaction, runStragglers, runWriters, TRUTH_SQL, writeThreeSql } from './writers.js';

const SEEDS = (process.env['MILLRACE_LEDGER_SEEDS'] ?? '1,2,3').split(',').map(Number);
/** A file to which each run adds a line of figures; test/faults/ledger.mjs reads it. */
const REPORT = process.env['MILLRACE_LEDGER_REPORT'];
const WRITING_MS = 4_500;
const UNDISTURBED_MS = 2_000;
const SLOW_MS = 1_500;
const DRAIN_MS = 200_000;
const EXPIRE_SQL = `update millrace.ledger set expires = clock_timestamp() - interval '1 second'`;
/**
 * From the middle of a run on, two transactions with an xid stay open, one here and one in another database. What is
 * open at once is a few hundred ranges; with the snapshot's xmin alone as evidence all rollbacks of the run stay.
 */
const GAP_RANGES_MAX = 500;

describe('the ledger on a real PostgreSQL', () => {
  let database: TestDatabase;
  let elsewhere: TestDatabase;
  let admin: pg.Client;

  beforeEach(async () => {
    database = await createTestDatabase();
    elsewhere = await createTestDatabase({ isMigrated: false });
    admin = await database.connect();
    await admin.query(TRUTH_SQL);
  });

  afterEach(async () => {
    await admin.end();
    await database.drop();
    await elsewhere.drop();
  });

  const cases = SEEDS.map((seed) => ({ seed, pageRowsMax: seed % 3 === 0 ? 1 : seed % 3 === 1 ? 1_000 : 7 }));

  it.each(cases)(
    'hands out every committed event once and in order under 16 writers (seed $seed, pages of $pageRowsMax)',
    async ({ seed, pageRowsMax }) => {
      let isWritten = false;
      const random = new Random(seed);
      const expireLease = async (): Promise<void> => {
        await admin.query(EXPIRE_SQL);
      };
      const options = { databaseUrl: database.url, pageRowsMax, random, expireLease };
      const reading = readAll(options, (now) => isWritten && now.gapRanges === 0);
      const untilMs = performance.now() + WRITING_MS;
      // a reader of single rows keeps up with a fifth of the others' events, and only one that keeps up meets gaps
      const slowness = pageRowsMax === 1 ? 5 : 1;
      const isOver = (): boolean => performance.now() >= untilMs;
      const writers = { databaseUrl: database.url, random, writers: 16, keys: 48, slowness, isOver };
      const writing = Promise.all([runWriters(writers), runStragglers(writers)]);
      await sleep(UNDISTURBED_MS);
      const busyHere = await openTransaction(database.url, `update aggregate set version = 0 where key = 'unused'`);
      const busyElsewhere = await openTransaction(elsewhere.url, 'select pg_current_xact_id()');
      const slow = await openTransaction(database.url, writeThreeSql('slow', 0));
      await sleep(SLOW_MS);
      await slow.commit();
      await writing;
      isWritten = true;
      const seen = await within(reading, DRAIN_MS, 'the ledger never had all gaps settled').finally(async () => {
        await Promise.all([busyHere.commit(), busyElsewhere.commit()]);
      });

      const { committed, rows, lost, invented } = await compare(admin, seen);
      expect({ lost, invented }).toEqual({ lost: 0, invented: 0 });
      expect(new Set(seen.ids).size).toBe(seen.ids.length);
      expect(seen.reordered).toEqual([]);
      expect(seen.unfenced).toEqual([]);
      expect(seen.gapRangesMax).toBeLessThan(GAP_RANGES_MAX);
      expect(seen.low).toBe(seen.high);
      expect(seen.died).toBe(Number(seen.high) - rows);
      if (REPORT !== undefined) {
        const { pages, owners, gapRangesMax, died } = seen;
        await appendFile(
          REPORT,
          `${JSON.stringify({ seed, pageRowsMax, committed, died, gapRangesMax, owners, pages })}\n`,
        );
      }
    },
    300_000,
  );
});

async function compare(
  admin: pg.Client,
  seen: Reading,
): Promise<{ committed: number; rows: number; lost: number; invented: number }> {
  const truth = await admin.query<{ id: string }>('select id from truth');
  const outbox = await admin.query<{ rows: number }>('select count(*)::integer as rows from millrace.outbox');
  const ids = new Set(seen.ids);
  const written = new Set(truth.rows.map(({ id }) => id));
  return {
    committed: written.size,
    rows: outbox.rows[0]?.rows ?? 0,
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
