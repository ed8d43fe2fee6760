import { setTimeout as sleep } from 'node:timers/promises';
import { markdownTable, text } from '../table.js';
import { type ConsumeBenchOptions } from './consume-bench.js';
import { ConsumerRun, cpuBetween } from './consumer-run.js';

const SECONDS = 20;
const WARM_UP_MS = 5_000;
const COLUMNS = [
  `${SECONDS} s without events`,
  'consumer, % of a core',
  'PostgreSQL, % of a core',
  'Kafka, % of a core',
];

/** Processor time of a member that has all partitions and nothing to do. */
export async function benchIdleConsumer(options: ConsumeBenchOptions): Promise<string> {
  const rows: string[][] = [];
  for (const client of options.clients) {
    const used = await ConsumerRun.with({ servers: options.servers, client, name: `idle_${client}` }, async (run) => {
      const consumer = await run.start();
      await sleep(WARM_UP_MS);
      const before = run.cpu(consumer);
      await sleep(SECONDS * 1_000);
      return cpuBetween(before, run.cpu(consumer));
    });
    const share = (ms: number): string => text(ms / (SECONDS * 10), 2);
    rows.push([client, share(used.consumer), share(used.postgres), share(used.kafka)]);
  }
  return markdownTable(COLUMNS, rows);
}
