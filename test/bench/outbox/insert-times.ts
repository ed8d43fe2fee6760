import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { INSERT_SQL, INSERT_VALUES } from './statement-plans.js';

/** Who writes how fast, and for how long. */
export interface InsertTimesOptions {
  readonly databaseUrl: string;
  readonly connections: number;
  /** Of all connections together. */
  readonly perSecond: number;
  readonly seconds: number;
}

/**
 * One-row transactions at a fixed rate. Resolves to the milliseconds that each took: from when it was due, if the one
 * before it on its connection was not over by then, so that a long wait counts for all that it keeps waiting.
 */
export async function insertTimes(options: InsertTimesOptions): Promise<number[]> {
  const producers = Array.from({ length: options.connections }, (_, index) => produce(options, index));
  return (await Promise.all(producers)).flat();
}

async function produce(
  { databaseUrl, connections, perSecond, seconds }: InsertTimesOptions,
  index: number,
): Promise<number[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const everyMs = (1_000 * connections) / perSecond;
  const times: number[] = [];
  const startedMs = performance.now() + (everyMs * index) / connections;
  try {
    for (let due = startedMs; due < startedMs + seconds * 1_000; due += everyMs) {
      const waitMs = due - performance.now();
      if (waitMs > 0) {
        await sleep(waitMs);
      }
      const begunMs = waitMs > 0 ? performance.now() : due;
      await client.query({ name: 'bench_insert', text: INSERT_SQL, values: INSERT_VALUES });
      times.push(performance.now() - begunMs);
    }
    return times;
  } finally {
    await client.end();
  }
}
