import { randomUUID } from 'node:crypto';
import { adoptTable } from '@millrace/schema';
import { withClient } from '../../harness/servers.js';
import { type AdoptedTable, writeAdopted } from './adopted-rows.js';
import {
  CONTEXT_HEADERS,
  NULL_HEADERS,
  OWN_HEADERS,
  TIMESTAMPS,
  HEADERS_AS_JSON,
  timesInHeaders,
} from './documented-differences.js';
import { type ParityScenario } from './parity-scenario.js';

const COLUMNS = `id uuid primary key, aggregatetype varchar(255) not null, aggregateid varchar(1200), type varchar(255) not null,
  payload jsonb, tenant text, attempt integer, urgent boolean, placed_at timestamp(6) not null default clock_timestamp() - interval '9 years', note text`;
const TENANTS = ['blue', 'grün €', '', null];

const TABLE: AdoptedTable = {
  table: 'public.outbox',
  twin: 'public.outbox_twin',
  types: ['sales.order', 'sales-refund', 'stock.level.eu', 'plain', 'Payment_2'],
  id: 'id',
  spare: 'note',
  row: ({ type, key, payload, random }) => ({
    id: randomUUID(),
    aggregatetype: type,
    aggregateid: key,
    type: random.isOneIn(2) ? 'changed' : 'geändert 😀',
    payload,
    tenant: TENANTS[random.below(TENANTS.length)] ?? null,
    attempt: random.isOneIn(3) ? null : random.below(1_000) - 500,
    urgent: random.isOneIn(2),
  }),
  refused: () => {
    const row = { id: '', aggregatetype: 'sales.order', aggregateid: 'refused', type: 'changed', payload: '{}' };
    return new Map([
      ['payload is null', { ...row, id: randomUUID(), payload: null }],
      ['key is null', { ...row, id: randomUUID(), aggregateid: null }],
      ['key is empty', { ...row, id: randomUUID(), aggregateid: '' }],
      ['key is longer than 1,024 bytes', { ...row, id: randomUUID(), aggregateid: 'k'.repeat(1_025) }],
    ]);
  },
};

/** A table as Debezium's documentation has it, deleted from at once, with topics by a regular expression. */
export const ADOPTED_OUTBOX: ParityScenario = {
  name: 'adopted',
  about: 'adopted outbox, jsonb, rows deleted at once; topic regex, columns as headers, a column for the timestamp',
  capture: 'polling',
  client: 'kafkajs',
  topics: ['shop.sales.order.v1', 'shop.sales.refund.v1', 'shop.stock.level.eu.v1', 'plain', 'Payment_2'],
  topic: {
    by: 'aggregatetype',
    regex: '(?<area>[a-z]+)[.-](?<what>.+)',
    replacement: 'shop.${area}.${what}.v1',
  },
  debezium: {
    'source.publication.name': 'debezium',
    'source.table.include.list': 'public.outbox,public.outbox_twin',
    'format.header.schemas.enable': 'true',
    'transforms.outbox.route.topic.regex': '(?<area>[a-z]+)[.-](?<what>.+)',
    'transforms.outbox.route.topic.replacement': 'shop.$${area}.$${what}.v1',
    'transforms.outbox.table.field.event.timestamp': 'placed_at',
    'transforms.outbox.table.fields.additional.placement':
      'type:header:eventType,tenant:header:tenant,attempt:header:attempt,urgent:header:urgent,placed_at:header:placedAt',
  },
  prepare: async (databaseUrl) => {
    await withClient(databaseUrl, (client) =>
      client.query(
        `create table public.outbox (${COLUMNS}); create table public.outbox_twin (${COLUMNS});
         create publication debezium for table public.outbox, public.outbox_twin`,
      ),
    );
    await adoptTable(
      { databaseUrl },
      {
        table: 'public.outbox',
        headers: [
          { column: 'tenant', name: 'tenant' },
          { column: 'attempt', name: 'attempt' },
          { column: 'urgent', name: 'urgent' },
          { column: 'placed_at', name: 'placedAt' },
        ],
        actor: 'parity',
      },
    );
  },
  write: (databaseUrl, { seed }) => writeAdopted(databaseUrl, seed, TABLE),
  differences: () => [
    CONTEXT_HEADERS,
    OWN_HEADERS,
    HEADERS_AS_JSON,
    NULL_HEADERS,
    timesInHeaders('placedAt'),
    TIMESTAMPS,
  ],
};
