import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { toPosition } from '@millrace/events';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { type CapturePort } from '../capture-port.js';
import { PgConnection } from '../pg-connection.js';
import { PgOutboxReader } from '../pg-outbox-reader.js';
import { createRetentionKeeper } from '../retention/retention-keeper.js';
import { ForkScene, publishedRecord } from '../testing/fork-scene.js';
import { type PublishedRecord } from './fork-repair.js';

let database: TestDatabase;
let client: pg.Client;
let scene: ForkScene;

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  scene = new ForkScene(database.url, client);
});

afterEach(async () => {
  await scene.close();
  await client.end();
  await database.drop();
});

/** Routes with ledgers of an earlier branch of the history. */
async function forkedRoutes(routes: readonly string[]): Promise<void> {
  for (const route of routes) {
    await (await scene.claim(route)).capture.close();
  }
  await scene.fork();
}

async function insert(key: string, { writer = client, rows = 1 }: { writer?: pg.Client; rows?: number } = {}) {
  await writer.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     select gen_random_uuid(), 'account', $1, 'changed', '{}' from generate_series(1, $2::integer)`,
    [key, rows],
  );
}

/** The record of an event that the database does not have. */
const lost = (position: bigint): PublishedRecord => publishedRecord({ position, id: randomUUID() });

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
      const repair = await scene.forked(route);
      await repair.keep([lost(10n)]);
      expect(await scene.repaired(repair)).toMatchObject({ moved: 1 });
    }

    expect(await lastPosition()).toBeLessThan(6n * 120_000n);
  });

  it('have room for what an open transaction brings, whatever its size', async () => {
    await forkedRoutes(['r']);
    const writer = await database.connect();
    await writer.query('begin');
    await insert('a', { writer, rows: 12_000 });
    const repair = await scene.forked('r');
    await repair.keep([lost(20_000n)]);
    expect((await repair.complete()).kind).toBe('waiting');
    await writer.query('commit');
    await writer.end();

    expect(await scene.repaired(repair)).toMatchObject({ moved: 12_000 });
  });

  it('are not given up by a route that runs beside the repair, so its count of rows stays right', async () => {
    await forkedRoutes(['first', 'second']);
    await insert('a');
    await scene.repaired(await scene.forked('first'));
    const { capture: running } = await scene.claim('first');
    const writer = await database.connect();
    await writer.query('begin');
    await insert('w', { writer });
    const repair = await scene.forked('second');
    await repair.keep([lost(100n)]);
    expect((await repair.complete()).kind).toBe('waiting');
    await insert('z');
    await writer.query('commit');
    await writer.end();
    await insert('z');
    for (let pages = 0; pages < 5; pages += 1) {
      await running.settle(await running.nextPage());
    }
    expect(await scene.repaired(repair)).toMatchObject({ moved: 1 });
    await client.query(`select setval('millrace.position', 1500000)`);
    await insert('z');
    await settleAll(running);
    await settleAll((await scene.claim('second')).capture);

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
    const repair = await scene.forked('r');
    await repair.keep([lost(10n), lost(11n)]);
    await client.query(`delete from millrace.fork_record where position = 10`);

    await expect(repair.complete()).rejects.toMatchObject({ code: 'fenced' });

    const again = await scene.forked('r');
    await again.keep([lost(10n), lost(11n)]);
    expect(await scene.repaired(again)).toMatchObject({ lost: 2 });
  });
});

describe('a connection that leads to a promoted standby without having broken', () => {
  it('settles nothing: what was read there would count as published here', async () => {
    const { capture } = await scene.claim();
    await insert('a');
    const page = await capture.nextPage();
    await scene.fork();

    await expect(capture.settle(page)).rejects.toMatchObject({
      code: 'fenced',
      message: expect.stringContaining('another timeline'),
    });
    expect((await scene.ask()).kind).toBe('forked');
  });

  it('hands out no page', async () => {
    const connection = new PgConnection({ databaseUrl: database.url, applicationName: 'test' });
    scene.toClose(connection);
    const everything = { above: toPosition(0n), reach: null, gaps: [], rowsMax: 10, bytesMax: 1_000 };
    const { rows } = await client.query<{ timeline: string }>(
      'select timeline_id as timeline from pg_control_checkpoint()',
    );
    const timeline = BigInt(rows[0]?.timeline ?? 0);

    await expect(
      new PgOutboxReader(connection, { aggregateTypes: null }, 'r', timeline).poll(everything),
    ).resolves.toMatchObject({});
    await expect(
      new PgOutboxReader(connection, { aggregateTypes: null }, 'r', timeline - 1n).poll(everything),
    ).rejects.toMatchObject({
      code: 'fenced',
    });
  });
});
