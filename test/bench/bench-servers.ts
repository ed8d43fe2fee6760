import { type Servers, startServers } from '../harness/servers.js';

/** Settings of a durable PostgreSQL with memory as a small production server has it. */
export const BENCH_POSTGRES = {
  shared_buffers: '1GB',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
  random_page_cost: 1.1,
  track_activity_query_size: 16_384,
} as const;

/** Such a PostgreSQL, and a Kafka broker of 1 GiB. */
export async function startBenchServers(): Promise<Servers> {
  return startServers({ kafkaHeapMb: 1_024, postgresSettings: BENCH_POSTGRES });
}
