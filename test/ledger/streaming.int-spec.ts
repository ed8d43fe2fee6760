import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { createOutboxSource } from '@millrace/capture';
import { migrate } from '@millrace/schema';
import { FAST_UNSAFE_SETTINGS, TemporaryPostgres } from '@millrace/testing';
import pg from 'pg';
import { Random } from './random.js';
import { readAll, type Reading } from './reading.js';
import { runStragglers, runWriters, TRUTH_SQL } from './writers.js';

const SEED = Number(process.env['MILLRACE_LEDGER_SEEDS']?.split(',')[0] ?? 11);
const DISTURBED_MS = 9_000;
const DISTURB_MS = 700;
/** So many must come; a slow machine gets so long for them when nothing disturbs it any more. */
const STREAM_PAGES_MIN = 21;
const UNDISTURBED_MS = 120_000;
const EXPIRE_SQL = `update millrace.ledger set expires = clock_timestamp() - interval '1 second'`;
const CUT_SQL = 'select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null';

/** The making of a slot waits for the open transactions of the whole cluster. */
const server = new TemporaryPostgres(FAST_UNSAFE_SETTINGS);

beforeAll(async () => {
  await server.start();
});

afterAll(async () => {
  await server.remove();
});

describe('table and stream on one ledger', () => {
  it(`hand out every committed event once and in order under 16 writers (seed ${SEED})`, async () => {
    const databaseUrl = server.adminUrl;
    await migrate({ databaseUrl });
    const admin = new pg.Client(databaseUrl);
    await admin.connect();
    await admin.query(TRUTH_SQL);
    const random = new Random(SEED);
    const expireLease = async (): Promise<void> => {
      await admin.query(EXPIRE_SQL);
    };
    let isWritten = false;
    let streamPages = 0;
    const onPage = (now: Reading): void => {
      streamPages = now.streamPages;
    };
    const calmAtMs = performance.now() + DISTURBED_MS;
    const mayHandOver = (): boolean => performance.now() < calmAtMs;
    const disturbances = { expireLease, mayHandOver, ownerMs: 3_000 };
    const options = { databaseUrl, pageRowsMax: 50, random, capture: 'wal', onPage, ...disturbances } as const;
    const reading = readAll(options, (now) => isWritten && now.gapRanges === 0);
    const isOver = (): boolean => {
      const calmMs = performance.now() - calmAtMs;
      return calmMs >= 0 && (streamPages >= STREAM_PAGES_MIN || calmMs >= UNDISTURBED_MS);
    };
    const writers = { databaseUrl, random, writers: 16, keys: 48, slowness: 1, isOver };
    const writing = Promise.all([runWriters(writers), runStragglers(writers)]);
    await disturb(admin, databaseUrl, calmAtMs);
    await writing;
    isWritten = true;
    const seen = await reading;

    const truth = await admin.query<{ id: string }>('select id from truth');
    const outbox = await admin.query<{ rows: number }>('select count(*)::integer as rows from millrace.outbox');
    await admin.end();
    const ids = new Set(seen.ids);
    const written = new Set(truth.rows.map(({ id }) => id));
    expect([...written].filter((id) => !ids.has(id))).toEqual([]);
    expect([...ids].filter((id) => !written.has(id))).toEqual([]);
    expect(seen.ids.length).toBe(ids.size);
    expect(seen.reordered).toEqual([]);
    expect(seen.unfenced).toEqual([]);
    expect(seen.low).toBe(seen.high);
    expect(seen.died).toBe(Number(seen.high) - (outbox.rows[0]?.rows ?? 0));
    expect(seen.streamPages).toBeGreaterThanOrEqual(STREAM_PAGES_MIN);
  }, 300_000);
});

/** Cuts the stream, and changes the mode and back, by turns; leaves it as configured. */
async function disturb(admin: pg.Client, databaseUrl: string, untilMs: number): Promise<void> {
  const source = createOutboxSource({ name: 'operator', databaseUrl });
  const modes = ['polling', 'auto', 'wal'] as const;
  for (let turn = 0; performance.now() + DISTURB_MS < untilMs; turn += 1) {
    await sleep(DISTURB_MS);
    if (turn % 4 === 1) {
      await admin.query(CUT_SQL);
    } else if (turn % 4 === 3) {
      const mode = modes[Math.floor(turn / 4) % modes.length] ?? null;
      await source.setCapture({ route: 'accounts', mode, actor: 'test', reason: null });
    }
  }
  await source.setCapture({ route: 'accounts', mode: null, actor: 'test', reason: null });
}
