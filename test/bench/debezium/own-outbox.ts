import { setTimeout as sleep } from 'node:timers/promises';
import { type Client } from 'pg';
import { Workload } from '../../faults/workload.js';
import { withClient } from '../../harness/servers.js';
import {
  CONTEXT_HEADERS,
  HEADERS_AS_JSON,
  headersOfProducer,
  OWN_HEADERS,
  TIMESTAMPS,
} from './documented-differences.js';
import { KEYS, PAYLOADS } from './parity-payloads.js';
import { type ParityLoad, type ParityScenario } from './parity-scenario.js';

/** Types beside the load's own `order`; each has a topic of its own. */
const TYPES = ['stock-level', 'Payment_2'] as const;

/** Our outbox as it is, with the columns under the names that the event router has by itself. */
export const OWN_OUTBOX: ParityScenario = {
  name: 'own',
  about: "Millrace's own outbox, defaults of the event router",
  capture: 'wal',
  client: 'platformatic',
  topics: ['order', ...TYPES].map((type) => `outbox.event.${type}`),
  topic: 'outbox.event.{aggregatetype}',
  debezium: {
    'source.publication.name': 'millrace',
    'source.schema.include.list': 'millrace',
    'source.table.include.list': 'millrace.outbox',
    'format.header.schemas.enable': 'false',
    'transforms.outbox.table.fields.additional.placement':
      'type:header:eventType,aggregateversion:header:aggregateversion',
  },
  prepare: () => Promise.resolve(),
  write: async (databaseUrl, load) => {
    await writeLoad(databaseUrl, load);
    await withClient(databaseUrl, writeAwkward);
    return { refused: new Map() };
  },
  differences: () => [
    CONTEXT_HEADERS,
    OWN_HEADERS,
    HEADERS_AS_JSON,
    TIMESTAMPS,
    headersOfProducer('tenant', 'attempt'),
  ],
};

/** Eight writers on 2,032 keys, one transaction in ten rolled back. */
async function writeLoad(databaseUrl: string, { seconds, ...load }: ParityLoad): Promise<void> {
  const workload = await Workload.start({ databaseUrl, ...load });
  await sleep(seconds * 1_000);
  await workload.stop();
}

/** One transaction for each payload, with one event of each key; every second one has a savepoint that is rolled back. */
async function writeAwkward(client: Client): Promise<void> {
  for (const type of TYPES) {
    for (const [index, payload] of PAYLOADS.entries()) {
      await client.query('begin');
      await writeOne(client, { type, version: index + 1, payload });
      if (index % 2 === 0) {
        await client.query('savepoint one_more');
        await writeOne(client, { type, version: index + 2, payload });
        await client.query('rollback to savepoint one_more');
      }
      await client.query('commit');
    }
  }
}

async function writeOne(
  client: Client,
  { type, version, payload }: { readonly type: string; readonly version: number; readonly payload: string },
): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
     select uuidv7(), $1, key, $1 || '.changed', $2, $3::json from unnest($4::text[]) as key`,
    [type, version, payload, KEYS],
  );
}
