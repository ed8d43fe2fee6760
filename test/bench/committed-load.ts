import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** What is written, and for how long. */
export interface CommittedLoadOptions {
  readonly databaseUrl: string;
  readonly connections: number;
  readonly eventsPerSecond: number;
  readonly seconds: number;
  /** The number of the first transaction; 0 when left out. */
  readonly firstNumber?: number;
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
 * which the client knew each commit, from the first number's on.
 */
export async function commitAtRate(options: CommittedLoadOptions): Promise<number[]> {
  const { databaseUrl, connections, eventsPerSecond, seconds, firstNumber = 0 } = options;
  const pool = new pg.Pool({ connectionString: databaseUrl, max: connections });
  const total = eventsPerSecond * seconds;
  const committedAtMs = new Array<number>(total).fill(Number.NaN);
  const open = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const commitOne = async (index: number): Promise<void> => {
    await pool.query({ ...INSERT, values: [firstNumber + index, PAYLOAD] });
    committedAtMs[index] = Date.now();
  };
  const startedMs = performance.now();
  try {
    for (let begun = 0; begun < total && failures.length === 0;) {
      const dueNow = Math.floor(((performance.now() - startedMs) / 1_000) * eventsPerSecond);
      for (; begun < Math.min(dueNow, total); begun += 1) {
        const commit: Promise<void> = commitOne(begun)
          .catch((error: unknown) => void failures.push(error))
          .finally(() => open.delete(commit));
        open.add(commit);
      }
      await sleep(TICK_MS);
    }
    await Promise.all(open);
  } finally {
    await pool.end();
  }
  if (failures.length > 0) {
    throw failures[0];
  }
  return committedAtMs;
}
