import { RecordWriter } from '../../harness/record-writer.js';
import { markdownTable, text } from '../table.js';
import { SLOW_KEY, sendAtRate } from './bench-events.js';
import { type ConsumeBenchOptions } from './consume-bench.js';
import { ConsumerRun, type ConsumerRunOptions } from './consumer-run.js';

const PER_SECOND = 500;
const SECONDS = 10;
const ROUNDS = 3;
const COLUMNS = ['stamp to effect, ms', 'p50', 'p95', 'p99', 'max'];
const SHARES = [0.5, 0.95, 0.99, 1];
/** Of all keys but the slow one, in one phase. */
const LATENCY_SQL = `select percentile_disc($1::float8[])
  within group (order by extract(epoch from placed_at) * 1000 - sent_at_ms)::float8[] as percentiles
from placed where order_id <> $2 and total_cents >= $3 and total_cents < $4`;

/** A part of the run, in which one key is slow or none is. */
interface Phase {
  readonly isOneSlow: boolean;
  readonly percentiles: readonly number[];
}

/**
 * 500 events/s of 1,000 keys to one consumer process; in turn, one key's handler takes a second, or none does. The
 * latency of all other keys.
 */
export async function benchSlowKey(options: ConsumeBenchOptions): Promise<string> {
  const rows: string[][] = [];
  for (const client of options.clients) {
    const phases = await runPhases({ servers: options.servers, client, name: `slow_${client}` });
    phases.forEach(({ isOneSlow, percentiles }, index) => {
      const title = `${client}, ${isOneSlow ? 'one of 1,000 keys takes 1 s' : 'all keys quick'}, round ${(index >> 1) + 1}`;
      rows.push([title, ...percentiles.map((ms) => text(ms))]);
    });
  }
  return markdownTable(COLUMNS, rows);
}

async function runPhases(options: ConsumerRunOptions): Promise<Phase[]> {
  return ConsumerRun.with(options, async (run) => {
    await run.start();
    const { brokers } = options.servers.kafka;
    const writer = await RecordWriter.open({ client: options.client, brokers, topic: run.topic });
    const load = { perSecond: PER_SECOND, seconds: SECONDS };
    const phases: Phase[] = [];
    try {
      // connections, plans and compiled code
      let next = await sendAtRate(writer, { ...load, first: 0, isOneSlow: false });
      await run.applied(next);
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const isOneSlow of [false, true]) {
          const first = next;
          next = await sendAtRate(writer, { ...load, first, isOneSlow });
          await run.applied(next);
          const values = [SHARES, SLOW_KEY, first, next];
          const { rows } = await run.database.query<{ percentiles: number[] }>(LATENCY_SQL, values);
          phases.push({ isOneSlow, percentiles: rows[0]?.percentiles ?? [] });
        }
      }
      return phases;
    } finally {
      await writer.close();
    }
  });
}
