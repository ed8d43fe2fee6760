import { markdownTable, text } from '../table.js';
import { SLOW_KEY, sendAtRate } from './bench-events.js';
import { type ConsumeBenchOptions } from './consume-bench.js';
import { ConsumerRun } from './consumer-run.js';

const PER_SECOND = 1_000;
const SECONDS = 20;
const SLOW_MS = 1_000;
const ROUNDS = 2;
const COLUMNS = ['stamp to effect, ms', 'p50', 'p95', 'p99', 'max'];
/** The first seconds are the start's: connections, plans, compiled code. */
const LATENCY_SQL = `with late as (
  select extract(epoch from placed_at) * 1000 - sent_at_ms as ms from placed
  where order_id <> $1 and sent_at_ms > (select min(sent_at_ms) from placed) + 5000
)
select array_agg(p order by share) as percentiles from (
  select share, percentile_disc(share) within group (order by ms)::float8 as p
  from late, unnest(array[0.5, 0.95, 0.99, 1]) share group by share) of_shares`;

/** 1,000 events/s of 1,000 keys; one key's handler takes a second, or none does; in turn. The others' latency. */
export async function benchSlowKey(options: ConsumeBenchOptions): Promise<string> {
  const rows: string[][] = [];
  for (const client of options.clients) {
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const slowMs of [0, SLOW_MS]) {
        const percentiles = await ConsumerRun.with(
          {
            servers: options.servers,
            client,
            name: `slow_${client}_${slowMs}_${round}`,
            environment: { BENCH_SLOW_MS: String(slowMs) },
          },
          async (run) => {
            await run.start();
            const { brokers } = options.servers.kafka;
            const sent = await sendAtRate({ client, brokers, topic: run.topic }, PER_SECOND, SECONDS);
            await run.applied(sent);
            const { rows: found } = await run.database.query<{ percentiles: number[] }>(LATENCY_SQL, [SLOW_KEY]);
            return found[0]?.percentiles ?? [];
          },
        );
        const title = `${client}, ${slowMs === 0 ? 'all keys quick' : 'one of 1,000 keys takes 1 s'}, round ${round}`;
        rows.push([title, ...percentiles.map((ms) => text(ms))]);
      }
    }
  }
  return markdownTable(COLUMNS, rows);
}
