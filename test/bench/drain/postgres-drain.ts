import { type LocalPostgres } from '@millrace/testing';
import { familyCpuMs } from '../../harness/process-usage.js';
import { createMigratedDatabase, withClient } from '../../harness/servers.js';
import { type Ceiling } from './ceiling.js';
import { type DrainPlace, type DrainSink, type DrainVariant } from './drain-sink.js';
import { bareDeliveries } from './postgres-ceiling.js';
import { RunFolder } from './run-folder.js';

const PARTITIONS = 6;
/** Payloads of the backlog differ. */
const STORED_SQL = `select count(*)::integer as records, count(distinct record_value)::integer as distinct_records,
  extract(epoch from max(delivered_at) - min(delivered_at))::float8 as seconds from millrace.delivery`;

interface StoredRow {
  readonly records: number;
  readonly distinct_records: number;
  readonly seconds: number;
}

/** A PostgreSQL of its own beside the source; a place is a database. The ceiling is the same calls of `millrace.deliver`. */
export async function startPostgresDrain(): Promise<DrainSink> {
  const folder = new RunFolder();
  const stop = folder.stop.bind(folder);
  try {
    const source = await folder.startPostgres('source');
    const target = await folder.startPostgres('target');
    const title = `a second PostgreSQL (fsync on), ${PARTITIONS} partitions`;
    return { folder: folder.path, source, title, variants: [postgresVariant(target)], stop };
  } catch (error) {
    await stop('keep');
    throw error;
  }
}

function postgresVariant(target: LocalPostgres): DrainVariant {
  return {
    name: 'Postgres',
    ceiling: 'millrace.deliver alone, the same batches',
    open: async (name, { events }): Promise<DrainPlace> => {
      const databaseUrl = await createMigratedDatabase(target, name);
      return {
        relay: {
          brokers: [],
          client: 'platformatic',
          sink: { kind: 'postgres', databaseUrl, partitions: PARTITIONS },
        },
        topic: 'outbox.event.{aggregatetype}',
        cpuMs: () => familyCpuMs(target.pid),
        rate: () => rateOf(databaseUrl, events),
        ceiling: () => ceilingOf(target, { name: `${name}_alone`, deliveredUrl: databaseUrl, events }),
        remove: () => dropDatabase(target, name),
      };
    },
  };
}

interface CeilingPlace {
  readonly name: string;
  /** The database that the relay has delivered into. */
  readonly deliveredUrl: string;
  readonly events: number;
}

/** In a database of its own. */
async function ceilingOf(target: LocalPostgres, { name, deliveredUrl, events }: CeilingPlace): Promise<Ceiling> {
  const databaseUrl = await createMigratedDatabase(target, name);
  const sinkCpuMs = (): number => familyCpuMs(target.pid);
  const { cpu } = await bareDeliveries({ deliveredUrl, databaseUrl, partitions: PARTITIONS, events, sinkCpuMs });
  const eventsPerSecond = await rateOf(databaseUrl, events);
  await dropDatabase(target, name);
  return { eventsPerSecond, cpu };
}

async function rateOf(databaseUrl: string, events: number): Promise<number> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<StoredRow>(STORED_SQL);
    const { records = 0, distinct_records: distinct = 0, seconds = 0 } = rows[0] ?? {};
    if (records !== events || distinct !== events) {
      throw new Error(`The database holds ${records} records, ${distinct} of them different, instead of ${events}.`);
    }
    return records / seconds;
  });
}

async function dropDatabase({ adminUrl }: LocalPostgres, name: string): Promise<void> {
  await withClient(adminUrl, (client) => client.query(`drop database ${name} with (force)`));
}
