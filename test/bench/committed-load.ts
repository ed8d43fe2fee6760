import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** What is written, and for how long. */
export interface CommittedLoadOptions {
  readonly databaseUrl: string;
  readonly connections: number;
  readonly eventsPerSecond: number;
  readonly seconds: number;
}

/** The row's `aggregateversion` numbers the transactions, so that a record tells which one it is of. */
const INSERT = {
  name: 'bench_insert',
  text: `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
values (uuidv7(), 'order', 'order-' || $1::bigint % 1000, 'order.placed', $1::bigint, $2::jsonb)`,
};
const PAYLOAD = JSON.stringify({ customerId: 'customer-17', totalCents: 1_999, note: 'x'.repeat(220) });
const TICK_MS = 1;

/**
 * One-row transactions at a fixed rate, whether earlier ones have ended or not. Resolves to the time (ms since 1970) at
 * which the client knew each commit, by its number.
 */
export async function commitAtRate(options: CommittedLoadOptions): Promise<number[]> {
  const pool = new pg.Pool({ connectionString: options.databaseUrl, max: options.connections });
  const committedAtMs: number[] = [];
  const running: Promise<void>[] = [];
  const total = options.eventsPerSecond * options.seconds;
  const startedMs = performance.now();
  try {
    while (running.length < total) {
      const dueNow = Math.floor(((performance.now() - startedMs) / 1_000) * options.eventsPerSecond);
      while (running.length < Math.min(dueNow, total)) {
        running.push(commitOne(pool, running.length, committedAtMs));
      }
      await sleep(TICK_MS);
    }
    await Promise.all(running);
    return committedAtMs;
  } finally {
    await pool.end();
  }
}

async function commitOne(pool: pg.Pool, number: number, committedAtMs: number[]): Promise<void> {
  await pool.query({ ...INSERT, values: [number, PAYLOAD] });
  committedAtMs[number] = Date.now();
}
