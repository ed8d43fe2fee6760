import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { type CapturePort } from '../capture-port.js';
import { createRetentionKeeper } from '../retention/retention-keeper.js';
import { ForkScene, publishedRecord } from '../testing/fork-scene.js';
import { readIncidents } from './incidents.js';

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

interface Row {
  readonly position: bigint;
  readonly id: string;
}

async function insert(key: string, type = 'account'): Promise<Row> {
  const { rows } = await client.query<{ position: string; id: string }>(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     values (gen_random_uuid(), $2, $1, 'changed', '{}') returning position, id`,
    [key, type],
  );
  return { position: BigInt(rows[0]?.position ?? 0), id: rows[0]?.id ?? '' };
}

async function settleAll(capture: CapturePort): Promise<void> {
  await capture.settle(await capture.nextPage());
}

/** An event that only the topics have. */
const lost = (position: bigint): Row => ({ position, id: randomUUID() });

/** What a route hands out, as keys with positions. */
async function published(route = 'r'): Promise<readonly { key: string; position: bigint; id: string }[]> {
  const { capture } = await scene.claim(route);
  const page = await capture.nextPage();
  await capture.settle(page);
  await capture.close();
  return page.events.map(({ aggregateId, position, id }) => ({ key: aggregateId, position, id }));
}

async function ledgerOf(route = 'r'): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select low::integer, high::integer,
      (select coalesce(json_agg(json_build_array(g.lo, g.hi) order by g.lo), '[]') from millrace.ledger_gap g
       where g.route = l.route) as gaps
     from millrace.ledger l where route = $1`,
    [route],
  );
  return rows[0];
}

describe('the repair of a fork', () => {
  it('settles what the topics have and hands out the rest', async () => {
    const { capture } = await scene.claim();
    await insert('k');
    await settleAll(capture);
    await capture.close();
    const sent = await insert('k');
    const unsent = await insert('k');
    await scene.fork();

    const repair = await scene.forked();
    await repair.keep([publishedRecord(sent, 1n)]);

    expect(await scene.repaired(repair)).toEqual({ found: 1, moved: 0, lost: 0, incident: null });
    expect(await published()).toMatchObject([{ id: unsent.id, position: unsent.position }]);
  });

  it('moves what stands at or below a used position, with all that follows of the same keys, in order', async () => {
    await (await scene.claim()).capture.close();
    const first = await insert('a');
    const other = await insert('b');
    const second = await insert('a');
    await scene.fork();

    const repair = await scene.forked();
    await repair.keep([publishedRecord(lost(first.position))]);

    expect(await scene.repaired(repair)).toMatchObject({ found: 0, moved: 2, lost: 1 });
    const events = await published();
    expect(events.map(({ id }) => id)).toEqual([other.id, first.id, second.id]);
    expect(events.map(({ position }) => position > 100_000n)).toEqual([false, true, true]);
  });

  it('moves what lies below a low that consumers have', async () => {
    await (await scene.claim()).capture.close();
    const event = await insert('a');
    await scene.fork();

    const repair = await scene.forked();
    await repair.keep([publishedRecord(lost(40n), 30n)]);

    expect(await scene.repaired(repair)).toMatchObject({ moved: 1, lost: 1 });
    expect(await published()).toMatchObject([{ id: event.id }]);
    expect((await insert('a')).position).toBeGreaterThan(100_040n);
  });

  it('settles an event that the topics have under another position', async () => {
    await (await scene.claim()).capture.close();
    const event = await insert('a');
    await scene.fork();

    const repair = await scene.forked();
    await repair.keep([publishedRecord({ position: 70n, id: event.id })]);

    expect(await scene.repaired(repair)).toMatchObject({ found: 1, moved: 0, lost: 0 });
    expect(await published()).toEqual([]);
  });

  it('lists what the database lost as an incident, once', async () => {
    await (await scene.claim()).capture.close();
    await scene.fork();
    const gone = [lost(7n), lost(5n)];

    const repair = await scene.forked();
    await repair.keep(gone.map((one) => publishedRecord(one)));
    const report = await scene.repaired(repair);

    expect(await readIncidents({ databaseUrl: database.url, limit: 10 })).toEqual([
      {
        id: report.incident,
        at: expect.stringMatching(/^\d{4}-.*Z$/),
        kind: 'events_lost_by_database',
        route: 'r',
        count: 2,
        events: [
          { position: '5', id: gone[1]?.id, topic: 't', partition: 0, offset: '5' },
          { position: '7', id: gone[0]?.id, topic: 't', partition: 0, offset: '7' },
        ],
      },
    ]);
  });

  it('takes what the ledger has settled for known, also when its row is gone', async () => {
    const { capture } = await scene.claim();
    const settled = await insert('a');
    await settleAll(capture);
    await capture.close();
    await client.query(`set millrace.retention = 'on'`);
    await client.query('delete from millrace.outbox');
    await scene.fork();

    const repair = await scene.forked();
    await repair.keep([publishedRecord(settled)]);

    expect(await scene.repaired(repair)).toEqual({ found: 0, moved: 0, lost: 0, incident: null });
  });

  it('is begun anew by the next claim when it did not come to its end', async () => {
    await (await scene.claim()).capture.close();
    const event = await insert('a');
    await scene.fork();
    const killed = await scene.forked();
    await killed.keep([publishedRecord(lost(50n)), publishedRecord(lost(60n))]);

    const repair = await scene.forked();
    await repair.keep([publishedRecord(event)]);

    expect(await scene.repaired(repair)).toMatchObject({ found: 1, moved: 0, lost: 0 });
  });

  it('ends as fenced when another relay has taken the route, and has changed nothing', async () => {
    await (await scene.claim()).capture.close();
    await insert('a');
    await scene.fork();
    const zombie = await scene.forked();
    const before = await ledgerOf();
    await scene.forked();

    await expect(zombie.keep([])).rejects.toMatchObject({ code: 'fenced' });
    await expect(zombie.complete()).rejects.toMatchObject({ code: 'fenced' });
    expect(await ledgerOf()).toEqual(before);
  });

  it('waits for a writer that may hold a low position, names it, and moves what it commits', async () => {
    await (await scene.claim()).capture.close();
    const writer = await database.connect();
    await writer.query('begin');
    await writer.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload) values (gen_random_uuid(), 'account', 'w', 't', '{}')`,
    );
    await scene.fork();

    const repair = await scene.forked();
    await repair.keep([publishedRecord(lost(10n))]);
    expect(await repair.complete()).toEqual({ kind: 'waiting', holder: expect.stringMatching(/^pid \d+/) });
    await writer.query('commit');
    await writer.end();

    expect(await scene.repaired(repair)).toMatchObject({ moved: 1 });
    expect(await published()).toMatchObject([{ key: 'w' }]);
  });

  it('makes copies for its own route alone, and no consumer sees what they are marked with', async () => {
    await (await scene.claim()).capture.close();
    await (await scene.claim('other')).capture.close();
    const event = await insert('a');
    await scene.fork();

    const repair = await scene.forked();
    await repair.keep([publishedRecord(lost(10n))]);
    await scene.repaired(repair);
    const second = await scene.forked('other');
    await second.keep([publishedRecord(event)]);
    expect(await scene.repaired(second)).toMatchObject({ found: 1, moved: 0, lost: 0 });

    expect(await published('other')).toEqual([]);
    expect(await published()).toMatchObject([{ id: event.id }]);
  });

  it('goes on after another route whose repair has come first, whatever that has seen', async () => {
    await (await scene.claim()).capture.close();
    await (await scene.claim('other')).capture.close();
    const event = await insert('a');
    const writer = await database.connect();
    await writer.query('begin');
    await writer.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload) values (gen_random_uuid(), 'account', 'w', 't', '{}')`,
    );
    await scene.fork();
    const first = await scene.forked();
    await first.keep([publishedRecord(lost(900_000n))]);
    expect(await first.complete()).toEqual({ kind: 'waiting', holder: expect.stringMatching(/^pid \d+/) });
    const second = await scene.forked('other');
    await second.keep([publishedRecord(lost(10n))]);
    expect(await second.complete()).toEqual({ kind: 'waiting', holder: 'the repair of another route' });
    await writer.query('commit');
    await writer.end();

    await scene.repaired(first);
    expect(await scene.repaired(second)).toMatchObject({ moved: 2 });

    expect((await published()).map(({ id }) => id)[0]).toBe(event.id);
    expect((await published('other')).map(({ key }) => key)).toEqual(['a', 'w']);
  });

  it('moves the fence of a change of shards above what it settles and copies', async () => {
    await (await scene.claim()).capture.close();
    await insert('a');
    await client.query('update millrace.ledger set fence = high');
    await scene.fork();

    const repair = await scene.forked();
    await repair.keep([publishedRecord(lost(10n))]);
    await scene.repaired(repair);

    const { rows } = await client.query<{ fence: string; last: string }>(
      'select fence, (select max(position) from millrace.outbox) as last from millrace.ledger',
    );
    expect(rows[0]?.fence).toBe(rows[0]?.last);
  });

  it('moves nothing that the route does not want', async () => {
    await (await scene.claim()).capture.close();
    await insert('a', 'unwanted');
    await scene.fork();

    const repair = await scene.forked('r', ['account']);
    await repair.keep([publishedRecord(lost(10n))]);

    expect(await scene.repaired(repair)).toMatchObject({ found: 0, moved: 0, lost: 1 });
    expect(await published()).toEqual([]);
  });

  it('leaves counters with which retention empties the leaf', async () => {
    const { capture } = await scene.claim();
    await insert('a');
    await settleAll(capture);
    await capture.close();
    const found = await insert('a');
    await insert('b');
    await insert('a');
    await scene.fork();
    const repair = await scene.forked();
    await repair.keep([publishedRecord(found), publishedRecord(lost(found.position + 1n))]);
    await scene.repaired(repair);
    await insert('a');
    expect(await published()).toHaveLength(3);
    await client.query(`select setval('millrace.position', 1000000)`);
    await insert('a');
    await published();
    // what lies between is seen to be empty once every writer of the server that was there before has ended
    await until(
      async () => [await published(), await ledgerOf()],
      ([, ledger]) => expect.objectContaining({ low: 1_000_001, gaps: [] }).asymmetricMatch(ledger),
      'the end of the gap',
    );

    const policy = { keepMs: 0, maxAgeMs: null, maxBytes: null };
    const retention = createRetentionKeeper({ source: 's', databaseUrl: database.url, policy, observer: {} });
    const { alarms, emptied, waiting } = await retention.run();

    expect([alarms, waiting]).toEqual([[], []]);
    expect(emptied).toMatchObject([{ rows: 6 }]);
  });
});
