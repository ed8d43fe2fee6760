import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { migrate } from '@millrace/schema';
import { TemporaryPostgres } from '@millrace/testing';
import pg from 'pg';
import { systemClock } from '../capture-clock.js';
import { type EventFilter } from '../event-filter.js';
import { type PolledRow, type PollRequest } from '../outbox-reader.js';
import { PgConnection } from '../pg-connection.js';
import { PgOutboxReader } from '../pg-outbox-reader.js';
import { ReplicationStream } from './replication-stream.js';

const EVERYTHING: PollRequest = { above: null, reach: null, gaps: [], rowsMax: 1_000, bytesMax: 64 * 1024 * 1024 };
const ALL: EventFilter = { aggregateTypes: null };
const KIBIBYTE = 1_024;

let server: TemporaryPostgres;
let client: pg.Client;

beforeAll(async () => {
  server = new TemporaryPostgres({ fsync: 'off', autovacuum: 'off' });
  await server.start();
  await migrate({ databaseUrl: server.adminUrl });
  client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  await client.query(
    `create publication w1 for table millrace.outbox with (publish = 'insert', publish_via_partition_root = true)`,
  );
});

afterAll(async () => {
  await client.end();
  await server.remove();
});

beforeEach(async () => {
  await client.query(`set millrace.retention = on; truncate millrace.outbox`);
});

interface OutboxValues {
  readonly aggregateType?: string;
  readonly aggregateId?: string;
  readonly type?: string;
  readonly version?: string | null;
  readonly schemaVersion?: number;
  readonly payload?: string;
  readonly headers?: string | null;
  readonly occurredAt?: string;
}

async function insert(values: OutboxValues): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload, headers, occurred_at)
     values (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      values.aggregateType ?? 'order',
      values.aggregateId ?? 'k',
      values.type ?? 'order.placed',
      values.version ?? null,
      values.schemaVersion ?? 1,
      values.payload ?? '{}',
      values.headers ?? null,
      values.occurredAt ?? '2026-11-21 12:34:56.789123+00',
    ],
  );
}

/** All that a row says, read out of its event. */
function plain({ position, event, bytes }: PolledRow): unknown {
  return {
    position,
    bytes,
    event: event && {
      position: event.position,
      id: event.id,
      aggregateType: event.aggregateType,
      aggregateId: event.aggregateId,
      type: event.type,
      aggregateVersion: event.aggregateVersion,
      schemaVersion: event.schemaVersion,
      payload: event.payload,
      headers: event.headers && Object.entries(event.headers),
      occurredAtMs: event.occurredAtMs,
    },
  };
}

async function polled(filter: EventFilter): Promise<readonly PolledRow[]> {
  const connection = new PgConnection({ databaseUrl: server.adminUrl, applicationName: 'row spec' });
  try {
    return (await new PgOutboxReader(connection, filter).poll({ ...EVERYTHING, above: toPosition(0) })).rows;
  } finally {
    await connection.close();
  }
}

/** What the slot says of the rows that `write` inserts, each in a transaction of its own. */
async function streamed(filter: EventFilter, write: () => Promise<void>): Promise<readonly PolledRow[]> {
  await client.query(`select pg_create_logical_replication_slot('w1', 'pgoutput')`);
  const stream = await ReplicationStream.open({
    databaseUrl: server.adminUrl,
    slot: 'w1',
    publication: 'w1',
    startLsn: 0n,
    applicationName: 'row spec',
    ...filter,
    bytesMax: KIBIBYTE * KIBIBYTE,
    silenceMs: 20_000,
    clock: systemClock,
  });
  try {
    await write();
    const { rows: counted } = await client.query<{ rows: number }>('select count(*)::int as rows from millrace.outbox');
    const rows: PolledRow[] = [];
    while (rows.length < Number(counted[0]?.rows)) {
      rows.push(...(await stream.nextTransaction()).rows);
    }
    return rows;
  } finally {
    await stream.close();
    await client.query(`select pg_drop_replication_slot('w1')`);
  }
}

async function expectEqual(filter: EventFilter, write: () => Promise<void>): Promise<readonly PolledRow[]> {
  const fromStream = await streamed(filter, write);
  const fromTable = await polled(filter);

  expect(fromStream.length).toBeGreaterThan(0);
  expect(fromStream.map(plain)).toEqual(fromTable.map(plain));
  return fromTable;
}

const PAYLOADS: readonly string[] = [
  '{}',
  '[]',
  'null',
  '"text"',
  '-0.0',
  '123456789012345678901234567890.000001',
  '{"b":  1, "a": {"deep": [[[null]]]},\n "a": 2}',
  JSON.stringify({ text: 'é\u2028 "quoted" \\ 😀 \u0001 \t' }),
  JSON.stringify({ filler: 'long '.repeat(100 * KIBIBYTE) }),
  '['.repeat(1_000) + ']'.repeat(1_000),
];

const HEADERS: readonly (string | null)[] = [
  null,
  '{}',
  '{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tenant": "t"}',
  '{"n": 1, "f": 1.50, "e": 1e400, "big": 123456789012345678901234567890, "t": true, "z": null}',
  '{"o": {"a": ["}", "]", "\\"", "\\\\"], "b": {"c": null}}, "l": [1, "x, y"], "s": "plain"}',
  JSON.stringify({ 'é"\\': 'ü\u0001\n', empty: '', ['__proto__']: 'x', toString: 'y' }),
  '{"__proto__": {"a": 1}, "1": 1, "0": "zero"}',
];

const TIMES: readonly string[] = [
  '2026-11-21 12:34:56.789123+00',
  '2026-11-21 12:34:56+14',
  '2026-07-01 00:00:00.5+05:45',
  '1969-12-31 23:59:59.999999+00',
  '1890-01-01 00:00:00+00',
  '0044-03-15 12:00:00+00 BC',
  '12026-01-01 00:00:00+00',
  'infinity',
  '-infinity',
];

describe('an event is the same from the stream as from the table', () => {
  it('whatever its payload', async () => {
    await expectEqual(ALL, async () => {
      for (const payload of PAYLOADS) {
        await insert({ payload });
      }
    });
  });

  it('whatever its headers', async () => {
    await expectEqual(ALL, async () => {
      for (const headers of HEADERS) {
        await insert({ headers });
      }
    });
  });

  it('whatever its other columns', async () => {
    await expectEqual(ALL, async () => {
      await insert({ aggregateId: 'é 😀 \t"\\', type: "it's; --", version: '9223372036854775807', schemaVersion: 7 });
      await insert({ aggregateType: 'a-b_c.D', version: '-1', schemaVersion: 2_147_483_647 });
      await insert({ aggregateId: 'k'.repeat(1_024), type: 't'.repeat(1_024) });
    });
  });

  it('when its aggregate type is not wanted', async () => {
    await expectEqual({ aggregateTypes: ['order'] }, async () => {
      await insert({ aggregateType: 'order', payload: '{"wanted": true}' });
      await insert({ aggregateType: 'invoice', payload: '{"wanted": false}', headers: '{"n": 1}' });
    });
  });

  it('when its event type is not wanted', async () => {
    const filter = { aggregateTypes: null, eventTypes: ['order.placed', "it's; --"] };
    const rows = await expectEqual(filter, async () => {
      for (const type of ['order.placed', 'order.Placed', "it's; --", 'order.paid']) {
        await insert({ type, headers: '{"n": 1}' });
      }
    });
    expect(rows.map(({ event }) => event?.type)).toEqual(['order.placed', undefined, "it's; --", undefined]);
  });

  it.each([
    ['tenant', ['a', 'ü\u0001\n "\\']],
    ['n', ['1', '1.50', 'true', 'null', '[1, "x"]', '{"a": null}', '123456789012345678901234567890']],
    ['__proto__', ['x', '1', '[object Object]']],
    ['toString', ['y', 'function toString() { [native code] }']],
  ])('when its header %s does not have one of the wanted values', async (name, values) => {
    const given: readonly unknown[] = [
      ...values,
      ...[1, true, null, [1, 'x'], { a: null }, '', 'b', ' a', '1.5', 'undefined'],
    ];
    const filter = { aggregateTypes: ['order'], headerValues: [{ name, values }] };
    const rows = await expectEqual(filter, async () => {
      await insert({ headers: null });
      await insert({ headers: '{}' });
      await insert({ headers: '{"n": 1.50, "tenant": 123456789012345678901234567890}' });
      for (const value of given) {
        await insert({ headers: `{"other": "a", ${JSON.stringify(name)}: ${JSON.stringify(value)}}` });
      }
    });
    const found = (await polled(ALL)).map(({ event }) => new Map(Object.entries(event?.headers ?? {})).get(name));
    const isWanted = found.map((value) => value !== undefined && values.includes(value));
    expect(rows.map(({ event }) => event !== null)).toEqual(isWanted);
    expect(new Set(isWanted)).toEqual(new Set([true, false]));
  });

  it('when it is to have several headers at once', async () => {
    const headerValues = [
      { name: 'tenant', values: ['a', 'b'] },
      { name: 'region', values: ['eu'] },
    ];
    const rows = await expectEqual({ aggregateTypes: null, eventTypes: null, headerValues }, async () => {
      for (const headers of ['{"tenant": "a"}', '{"tenant": "b", "region": "eu"}', '{"tenant": "c", "region": "eu"}']) {
        await insert({ headers });
      }
    });
    expect(rows.map(({ event }) => event !== null)).toEqual([false, true, false]);
  });

  it.each([
    ['UTC', 'ISO, MDY'],
    ['Asia/Kathmandu', 'ISO, DMY'],
    ['America/St_Johns', 'German'],
    ['Europe/Amsterdam', 'SQL, DMY'],
    ['<-03:30>+03:30', 'Postgres, MDY'],
  ])('whatever the time, with the database set to zone %s and dates as %s', async (zone, dateStyle) => {
    await client.query(`alter database postgres set timezone = '${zone}'`);
    await client.query(`alter database postgres set datestyle = '${dateStyle}'`);
    try {
      await expectEqual(ALL, async () => {
        for (const occurredAt of TIMES) {
          await insert({ occurredAt });
        }
      });
    } finally {
      await client.query('alter database postgres reset timezone');
      await client.query('alter database postgres reset datestyle');
    }
  });
});
