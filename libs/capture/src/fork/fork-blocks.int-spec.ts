import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { toEventId, toPosition } from '@millrace/events';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { type CapturePort, type ClaimResult } from '../capture-port.js';
import { createOutboxSource } from '../outbox-source.js';
import { PgConnection } from '../pg-connection.js';
import { PgOutboxReader } from '../pg-outbox-reader.js';
import { createRetentionKeeper } from '../retention/retention-keeper.js';
import { type ForkRepair, type ForkReport, type PublishedRecord } from './fork-repair.js';

let database: TestDatabase;
let client: pg.Client;
let open: { close(): Promise<void> }[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  open = [];
});

afterEach(async () => {
  await Promise.all(open.map((held) => held.close()));
  await client.end();
  await database.drop();
});

async function ask(route: string): Promise<ClaimResult> {
  const source = createOutboxSource({ name: 'source', databaseUrl: database.url });
  const from = { kind: 'earliest' } as const;
  const result = await source.claim({ route, owner: 'a', ttlMs: 30_000, from, aggregateTypes: null });
  open.push(...(result.kind === 'claimed' ? [result.capture] : result.kind === 'forked' ? [result.repair] : []));
  return result;
}

async function claimed(route: string): Promise<CapturePort> {
  const result = await ask(route);
  if (result.kind !== 'claimed') {
    throw new Error(`The claim was answered with ${result.kind}.`);
  }
  return result.capture;
}

async function forked(route: string): Promise<ForkRepair> {
  const result = await ask(route);
  if (result.kind !== 'forked') {
    throw new Error(`The claim was answered with ${result.kind}.`);
  }
  await result.repair.begin();
  return result.repair;
}

/** Routes with ledgers of an earlier branch of the history. */
async function forkedRoutes(routes: readonly string[]): Promise<void> {
  for (const route of routes) {
    await (await claimed(route)).close();
  }
  await client.query('update millrace.ledger set timeline = timeline - 1');
}

async function insert(key: string, { writer = client, rows = 1 }: { writer?: pg.Client; rows?: number } = {}) {
  await writer.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     select gen_random_uuid(), 'account', $1, 'changed', '{}' from generate_series(1, $2::integer)`,
    [key, rows],
  );
}

const lost = (position: bigint): PublishedRecord => ({
  position: toPosition(position),
  id: toEventId(randomUUID()),
  low: toPosition(0n),
  topic: 't',
  partition: 0,
  offset: position,
  isOwn: true,
});

async function repaired(repair: ForkRepair): Promise<ForkReport> {
  const step = await until(
    () => repair.complete(),
    ({ kind }) => kind === 'repaired',
    'the end of the repair',
  );
  await repair.close();
  if (step.kind !== 'repaired') {
    throw new Error(step.kind);
  }
  return step.report;
}

async function lastPosition(): Promise<bigint> {
  const { rows } = await client.query<{ last: string }>('select millrace.last_position() as last');
  return BigInt(rows[0]?.last ?? 0);
}

/** Reads and settles until the ledger has no gap and has seen every position. */
async function settleAll(capture: CapturePort): Promise<void> {
  const last = await lastPosition();
  await until(
    async () => {
      await capture.settle(await capture.nextPage());
      return capture.status();
    },
    ({ low }) => low >= last,
    'a ledger without gaps',
  );
}

describe('the positions that a repair reserves', () => {
  it('are few, however many routes are repaired', async () => {
    const routes = Array.from({ length: 6 }, (_, at) => `r${String(at)}`);
    await forkedRoutes(routes);
    await insert('a');

    for (const route of routes) {
      const repair = await forked(route);
      await repair.keep([lost(10n)]);
      expect(await repaired(repair)).toMatchObject({ moved: 1 });
    }

    expect(await lastPosition()).toBeLessThan(6n * 120_000n);
  });

  it('have room for what an open transaction brings, whatever its size', async () => {
    await forkedRoutes(['r']);
    const writer = await database.connect();
    await writer.query('begin');
    await insert('a', { writer, rows: 12_000 });
    const repair = await forked('r');
    await repair.keep([lost(20_000n)]);
    expect((await repair.complete()).kind).toBe('waiting');
    await writer.query('commit');
    await writer.end();

    expect(await repaired(repair)).toMatchObject({ moved: 12_000 });
  });

  it('are not given up by a route that runs beside the repair, so its count of rows stays right', async () => {
    await forkedRoutes(['first', 'second']);
    await insert('a');
    await repaired(await forked('first'));
    const running = await claimed('first');
    const writer = await database.connect();
    await writer.query('begin');
    await insert('w', { writer });
    const repair = await forked('second');
    await repair.keep([lost(100n)]);
    expect((await repair.complete()).kind).toBe('waiting');
    await insert('z');
    await writer.query('commit');
    await writer.end();
    await insert('z');
    for (let pages = 0; pages < 5; pages += 1) {
      await running.settle(await running.nextPage());
    }
    expect(await repaired(repair)).toMatchObject({ moved: 1 });
    await client.query(`select setval('millrace.position', 1500000)`);
    await insert('z');
    await settleAll(running);
    await settleAll(await claimed('second'));

    const policy = { keepMs: 0, maxAgeMs: null, maxBytes: null };
    const retention = createRetentionKeeper({ source: 's', databaseUrl: database.url, policy, observer: {} });
    const { alarms, emptied } = await retention.run();

    expect(alarms).toEqual([]);
    expect(emptied).toMatchObject([{ rows: 5 }]);
  });
});

describe('a repair whose records are gone', () => {
  it('is begun anew: nothing is judged by a part of them', async () => {
    await forkedRoutes(['r']);
    await insert('a');
    const repair = await forked('r');
    await repair.keep([lost(10n), lost(11n)]);
    await client.query(`delete from millrace.fork_record where position = 10`);

    await expect(repair.complete()).rejects.toMatchObject({ code: 'fenced' });

    const again = await forked('r');
    await again.keep([lost(10n), lost(11n)]);
    expect(await repaired(again)).toMatchObject({ lost: 2 });
  });
});

describe('a connection that leads to a promoted standby without having broken', () => {
  it('settles nothing: what was read there would count as published here', async () => {
    const capture = await claimed('r');
    await insert('a');
    const page = await capture.nextPage();
    await client.query('update millrace.ledger set timeline = timeline - 1');

    await expect(capture.settle(page)).rejects.toMatchObject({
      code: 'fenced',
      message: expect.stringContaining('another timeline'),
    });
    expect((await ask('r')).kind).toBe('forked');
  });

  it('hands out no page', async () => {
    const connection = new PgConnection({ databaseUrl: database.url, applicationName: 'test' });
    open.push(connection);
    const everything = { above: toPosition(0n), reach: null, gaps: [], rowsMax: 10, bytesMax: 1_000 };
    const { rows } = await client.query<{ timeline: string }>(
      'select timeline_id as timeline from pg_control_checkpoint()',
    );
    const timeline = BigInt(rows[0]?.timeline ?? 0);

    await expect(new PgOutboxReader(connection, null, 'r', timeline).poll(everything)).resolves.toMatchObject({});
    await expect(new PgOutboxReader(connection, null, 'r', timeline - 1n).poll(everything)).rejects.toMatchObject({
      code: 'fenced',
    });
  });
});
