import { randomUUID } from 'node:crypto';
import { adoptTable } from '@millrace/schema';
import { withClient } from '../../harness/servers.js';
import { type AdoptedTable, writeAdopted } from './adopted-rows.js';
import {
  CASE_OF_IDS,
  CONTEXT_HEADERS,
  HEADERS_AS_JSON,
  OWN_HEADERS,
  spellingOfJson,
  TIMESTAMPS,
} from './documented-differences.js';
import { type ParityScenario } from './parity-scenario.js';

const COLUMNS = `event_id text primary key, family text not null, subject text not null, kind text not null, body json,
  version integer not null, place integer not null, note text`;
const CAPITALS_ODDS = 20;
/** The same for all rows of a key. */
const PLACES = 3;

const TABLE: AdoptedTable = {
  table: 'public.events_out',
  twin: 'public.events_out_twin',
  types: ['order-placed', 'order-paid', 'item.Moved'],
  id: 'event_id',
  spare: 'note',
  row: ({ type, key, payload, random }) => ({
    event_id: random.isOneIn(CAPITALS_ODDS) ? randomUUID().toUpperCase() : randomUUID(),
    family: 'all',
    subject: key,
    kind: type,
    body: payload,
    version: 1 + random.below(3),
    place: key.length % PLACES,
  }),
  refused: () => {
    const row = { family: 'all', subject: 'refused', kind: 'order-paid', body: '{}', version: 1, place: 0 };
    return new Map([
      ['JSON has U+0000, which jsonb has not', { ...row, event_id: randomUUID(), body: '{"text": "\\u0000"}' }],
      ['payload is null, with tombstones', { ...row, event_id: randomUUID(), body: null }],
      ['schema version is 0', { ...row, event_id: randomUUID(), version: 0 }],
    ]);
  },
};

/**
 * A table with names of its own and a payload of type json. Debezium Server takes no partition from a column, though the
 * event router does: both choose it by the key.
 */
export const OTHER_COLUMNS: ParityScenario = {
  name: 'columns',
  about:
    'adopted outbox with other columns, json; route by the type, schema versions, a column for the partition, tombstones',
  capture: 'wal',
  client: 'platformatic',
  topics: ['events.order-placed', 'events.order-paid', 'events.item.Moved'],
  topic: { by: 'type', replacement: 'events.${routedByValue}' },
  debezium: {
    'source.publication.name': 'debezium',
    'source.table.include.list': 'public.events_out,public.events_out_twin',
    'transforms.outbox.route.by.field': 'kind',
    'transforms.outbox.route.topic.replacement': 'events.$${routedByValue}',
    'transforms.outbox.route.tombstone.on.empty.payload': 'true',
    'transforms.outbox.table.field.event.id': 'event_id',
    'transforms.outbox.table.field.event.key': 'subject',
    'transforms.outbox.table.field.event.payload': 'body',
    'transforms.outbox.table.field.event.schema.version': 'version',
    'transforms.outbox.table.fields.additional.placement': 'kind:header:eventType,place:partition',
  },
  prepare: async (databaseUrl) => {
    await withClient(databaseUrl, (client) =>
      client.query(
        `create table public.events_out (${COLUMNS}); create table public.events_out_twin (${COLUMNS});
         create publication debezium for table public.events_out, public.events_out_twin`,
      ),
    );
    await adoptTable(
      { databaseUrl },
      {
        table: 'public.events_out',
        columns: {
          id: 'event_id',
          routeBy: 'family',
          key: 'subject',
          type: 'kind',
          payload: 'body',
          schemaVersion: 'version',
        },
        actor: 'parity',
      },
    );
  },
  write: (databaseUrl, { seed }) => writeAdopted(databaseUrl, seed, TABLE),
  differences: (printed) => [
    CONTEXT_HEADERS,
    OWN_HEADERS,
    HEADERS_AS_JSON,
    CASE_OF_IDS,
    spellingOfJson(printed),
    TIMESTAMPS,
  ],
};
