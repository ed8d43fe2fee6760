import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { toEventId, toPosition } from '@millrace/events';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import type pg from 'pg';
import { type CapturePort, type ClaimResult } from '../capture-port.js';
import { createOutboxSource } from '../outbox-source.js';
import { createRetentionKeeper } from '../retention/retention-keeper.js';
import { readIncidents } from './incidents.js';
import { type ForkRepair, type ForkReport, type PublishedRecord } from './fork-repair.js';

type Claimed = Extract<ClaimResult, { kind: 'claimed' }>;

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

async function ask(route = 'r', aggregateTypes: readonly string[] | null = null): Promise<ClaimResult> {
  const source = createOutboxSource({ name: 'source', databaseUrl: database.url });
  const from = { kind: 'earliest' } as const;
  const result = await source.claim({ route, owner: 'a', ttlMs: 30_000, from, aggregateTypes });
  if (result.kind === 'claimed') {
    open.push(result.capture);
  }
  if (result.kind === 'forked') {
    open.push(result.repair);
  }
  return result;
}

async function claim(route = 'r'): Promise<Claimed> {
  const result = await ask(route);
  if (result.kind !== 'claimed') {
    throw new Error(`The claim was answered with ${result.kind}.`);
  }
  return result;
}

async function forked(route = 'r', types: readonly string[] | null = null): Promise<ForkRepair> {
  const result = await ask(route, types);
  if (result.kind !== 'forked') {
    throw new Error(`The claim was answered with ${result.kind}.`);
  }
  await result.repair.begin();
  return result.repair;
}

async function settleAll(capture: CapturePort): Promise<void> {
  await capture.settle(await capture.nextPage());
}

/** As after a promotion: the ledger was written on an earlier branch of the history. */
async function fork(): Promise<void> {
  await client.query('update millrace.ledger set timeline = timeline - 1');
}

const record = ({ position, id }: Row, low = 0n): PublishedRecord => ({
  position: toPosition(position),
  id: toEventId(id),
  low: toPosition(low),
  topic: 't',
  partition: 0,
  offset: position,
  isOwn: true,
});

/** An event that only the topics have. */
const lost = (position: bigint): Row => ({ position, id: randomUUID() });

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

/** What a route hands out, as keys with positions. */
async function published(route = 'r'): Promise<readonly { key: string; position: bigint; id: string }[]> {
  const { capture } = await claim(route);
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
    const { capture } = await claim();
    await insert('k');
    await settleAll(capture);
    await capture.close();
    const sent = await insert('k');
    const unsent = await insert('k');
    await fork();

    const repair = await forked();
    await repair.keep([record(sent, 1n)]);

    expect(await repaired(repair)).toEqual({ found: 1, moved: 0, lost: 0, incident: null });
    expect(await published()).toMatchObject([{ id: unsent.id, position: unsent.position }]);
  });

  it('moves what stands at or below a used position, with all that follows of the same keys, in order', async () => {
    await (await claim()).capture.close();
    const first = await insert('a');
    const other = await insert('b');
    const second = await insert('a');
    await fork();

    const repair = await forked();
    await repair.keep([record(lost(first.position))]);

    expect(await repaired(repair)).toMatchObject({ found: 0, moved: 2, lost: 1 });
    const events = await published();
    expect(events.map(({ id }) => id)).toEqual([other.id, first.id, second.id]);
    expect(events.map(({ position }) => position > 100_000n)).toEqual([false, true, true]);
  });

  it('moves what lies below a low that consumers have', async () => {
    await (await claim()).capture.close();
    const event = await insert('a');
    await fork();

    const repair = await forked();
    await repair.keep([record(lost(40n), 30n)]);

    expect(await repaired(repair)).toMatchObject({ moved: 1, lost: 1 });
    expect(await published()).toMatchObject([{ id: event.id }]);
    expect((await insert('a')).position).toBeGreaterThan(100_040n);
  });

  it('settles an event that the topics have under another position', async () => {
    await (await claim()).capture.close();
    const event = await insert('a');
    await fork();

    const repair = await forked();
    await repair.keep([record({ position: 70n, id: event.id })]);

    expect(await repaired(repair)).toMatchObject({ found: 1, moved: 0, lost: 0 });
    expect(await published()).toEqual([]);
  });

  it('lists what the database lost as an incident, once', async () => {
    await (await claim()).capture.close();
    await fork();
    const gone = [lost(7n), lost(5n)];

    const repair = await forked();
    await repair.keep(gone.map((one) => record(one)));
    const report = await repaired(repair);

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
    const { capture } = await claim();
    const settled = await insert('a');
    await settleAll(capture);
    await capture.close();
    await client.query(`set millrace.retention = 'on'`);
    await client.query('delete from millrace.outbox');
    await fork();

    const repair = await forked();
    await repair.keep([record(settled)]);

    expect(await repaired(repair)).toEqual({ found: 0, moved: 0, lost: 0, incident: null });
  });

  it('is begun anew by the next claim when it did not come to its end', async () => {
    await (await claim()).capture.close();
    const event = await insert('a');
    await fork();
    const killed = await forked();
    await killed.keep([record(lost(50n)), record(lost(60n))]);

    const repair = await forked();
    await repair.keep([record(event)]);

    expect(await repaired(repair)).toMatchObject({ found: 1, moved: 0, lost: 0 });
  });

  it('ends as fenced when another relay has taken the route, and has changed nothing', async () => {
    await (await claim()).capture.close();
    await insert('a');
    await fork();
    const zombie = await forked();
    const before = await ledgerOf();
    await forked();

    await expect(zombie.keep([])).rejects.toMatchObject({ code: 'fenced' });
    await expect(zombie.complete()).rejects.toMatchObject({ code: 'fenced' });
    expect(await ledgerOf()).toEqual(before);
  });

  it('waits for a writer that may hold a low position, names it, and moves what it commits', async () => {
    await (await claim()).capture.close();
    const writer = await database.connect();
    await writer.query('begin');
    await writer.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload) values (gen_random_uuid(), 'account', 'w', 't', '{}')`,
    );
    await fork();

    const repair = await forked();
    await repair.keep([record(lost(10n))]);
    expect(await repair.complete()).toEqual({ kind: 'waiting', holder: expect.stringMatching(/^pid \d+/) });
    await writer.query('commit');
    await writer.end();

    expect(await repaired(repair)).toMatchObject({ moved: 1 });
    expect(await published()).toMatchObject([{ key: 'w' }]);
  });

  it('makes copies for its own route alone, and no consumer sees what they are marked with', async () => {
    await (await claim()).capture.close();
    await (await claim('other')).capture.close();
    const event = await insert('a');
    await fork();

    const repair = await forked();
    await repair.keep([record(lost(10n))]);
    await repaired(repair);
    const second = await forked('other');
    await second.keep([record(event)]);
    expect(await repaired(second)).toMatchObject({ found: 1, moved: 0, lost: 0 });

    expect(await published('other')).toEqual([]);
    expect(await published()).toMatchObject([{ id: event.id }]);
  });

  it('goes on after another route whose repair has come first, whatever that has seen', async () => {
    await (await claim()).capture.close();
    await (await claim('other')).capture.close();
    const event = await insert('a');
    const writer = await database.connect();
    await writer.query('begin');
    await writer.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload) values (gen_random_uuid(), 'account', 'w', 't', '{}')`,
    );
    await fork();
    const first = await forked();
    await first.keep([record(lost(900_000n))]);
    expect(await first.complete()).toEqual({ kind: 'waiting', holder: expect.stringMatching(/^pid \d+/) });
    const second = await forked('other');
    await second.keep([record(lost(10n))]);
    expect(await second.complete()).toEqual({ kind: 'waiting', holder: 'the repair of another route' });
    await writer.query('commit');
    await writer.end();

    await repaired(first);
    expect(await repaired(second)).toMatchObject({ moved: 2 });

    expect((await published()).map(({ id }) => id)[0]).toBe(event.id);
    expect((await published('other')).map(({ key }) => key)).toEqual(['a', 'w']);
  });

  it('moves the fence of a change of shards above what it settles and copies', async () => {
    await (await claim()).capture.close();
    await insert('a');
    await client.query('update millrace.ledger set fence = high');
    await fork();

    const repair = await forked();
    await repair.keep([record(lost(10n))]);
    await repaired(repair);

    const { rows } = await client.query<{ fence: string; last: string }>(
      'select fence, (select max(position) from millrace.outbox) as last from millrace.ledger',
    );
    expect(rows[0]?.fence).toBe(rows[0]?.last);
  });

  it('moves nothing that the route does not want', async () => {
    await (await claim()).capture.close();
    await insert('a', 'unwanted');
    await fork();

    const repair = await forked('r', ['account']);
    await repair.keep([record(lost(10n))]);

    expect(await repaired(repair)).toMatchObject({ found: 0, moved: 0, lost: 1 });
    expect(await published()).toEqual([]);
  });

  it('leaves counters with which retention empties the leaf', async () => {
    const { capture } = await claim();
    await insert('a');
    await settleAll(capture);
    await capture.close();
    const found = await insert('a');
    await insert('b');
    await insert('a');
    await fork();
    const repair = await forked();
    await repair.keep([record(found), record(lost(found.position + 1n))]);
    await repaired(repair);
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
