import { randomUUID } from 'node:crypto';
import { familyCpuMs, processCpuMs } from '../../harness/process-usage.js';
import { createMigratedDatabase, type Servers, withClient } from '../../harness/servers.js';
import pg from 'pg';
import { INSERT_PLACED_SQL } from './bench-events.js';
import { TABLE_SQL } from './consumer-run.js';

/** What the statements alone are measured with. */
export interface BareInsertsOptions {
  readonly servers: Servers;
  /** Unique; letters, digits and `_`. */
  readonly name: string;
  readonly events: number;
  readonly batchSize: number;
  readonly concurrency: number;
}

/** Events a second, and microseconds of processor time an event. */
export interface BareInserts {
  readonly eventsPerSecond: number;
  readonly clientCpu: number;
  readonly postgresCpu: number;
}

/** Plain claims, without floors and held keys, which a consumer needs. */
const CLAIM_SQL = `insert into millrace.inbox (consumer, id, kept_until)
  select $1, id, 'infinity' from unnest($2::uuid[]) as claimed (id) on conflict do nothing`;

/**
 * The least that a consumer must ask of PostgreSQL: BEGIN, a claim of all events of the transaction, one insert for each,
 * COMMIT; by `pg` alone, prepared, without a broker, a decoder or Nest. What no consumer of this design can be faster than.
 */
export async function runBareInserts(options: BareInsertsOptions): Promise<BareInserts> {
  const { servers, name, events, concurrency } = options;
  const url = await createMigratedDatabase(servers.postgres, name);
  const clients = Array.from({ length: concurrency }, () => new pg.Client({ connectionString: url }));
  try {
    await withClient(url, (client) => client.query(TABLE_SQL));
    await Promise.all(clients.map((client) => client.connect()));
    const cpu = (): readonly [number, number] => [processCpuMs(process.pid), familyCpuMs(servers.postgres.pid)];
    const before = cpu();
    const startedMs = performance.now();
    const each = Math.ceil(events / concurrency);
    await Promise.all(clients.map((client) => insertAll(client, each, options)));
    const seconds = (performance.now() - startedMs) / 1_000;
    // while the connections are open: the time of a backend that has ended is nobody's
    const after = cpu();
    const done = each * concurrency;
    const perEvent = (index: 0 | 1): number => ((after[index] - before[index]) * 1_000) / done;
    return { eventsPerSecond: done / seconds, clientCpu: perEvent(0), postgresCpu: perEvent(1) };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
    await withClient(servers.postgres.adminUrl, (admin) => admin.query(`drop database ${name} with (force)`));
  }
}

async function insertAll(client: pg.Client, events: number, { batchSize }: BareInsertsOptions): Promise<void> {
  for (let first = 0; first < events; first += batchSize) {
    const ids = Array.from({ length: Math.min(batchSize, events - first) }, () => randomUUID());
    await client.query('begin');
    await client.query({ name: 'claim', text: CLAIM_SQL, values: ['bench', ids] });
    for (const id of ids) {
      await client.query({ name: 'insert', text: INSERT_PLACED_SQL, values: [id, 'order-1', first, 0] });
    }
    await client.query('commit');
  }
}
