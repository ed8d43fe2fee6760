import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase, testPostgresUrl } from '@millrace/testing';
import pg from 'pg';
import { type CapturedPage } from './capture-port.js';
import { FirstPage } from './first-page.js';
import { PgConnection } from './pg-connection.js';
import { PgLedgerStore } from './pg-ledger-store.js';
import { PgOutboxReader } from './pg-outbox-reader.js';
import { PollingCapture } from './polling-capture.js';
import { DEFAULT_POLLING_OPTIONS, type PollingOptions } from './table-reader.js';

const INSERT = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
  select gen_random_uuid(), $1, 'k', 'changed', jsonb_build_object('text', repeat('x', $3)) from generate_series(1, $2) n`;

let database: TestDatabase;
let client: pg.Client;
let opened: Transaction[];
let captures: PollingCapture[];
let nowMs: number;

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  opened = [];
  captures = [];
  nowMs = 1_000_000;
});

afterEach(async () => {
  await Promise.all(captures.map((capture) => capture.close()));
  await Promise.all(opened.map((transaction) => transaction.end('rollback')));
  await client.end();
  await database.drop();
});

interface Row {
  readonly type?: string;
  readonly count?: number;
  readonly bytes?: number;
}

async function insert(by: pg.Client, { type = 'account', count = 1, bytes = 1 }: Row = {}): Promise<void> {
  await by.query(INSERT, [type, count, bytes]);
}

/** A transaction of its own connection. */
class Transaction {
  private isOpen = true;

  constructor(readonly client: pg.Client) {}

  async end(how: 'commit' | 'rollback'): Promise<void> {
    if (this.isOpen) {
      this.isOpen = false;
      await this.client.query(how);
      await this.client.end();
    }
  }
}

async function begin(by?: pg.Client): Promise<Transaction> {
  const transaction = new Transaction(by ?? (await database.connect()));
  await transaction.client.query('begin');
  opened.push(transaction);
  return transaction;
}

/** Others use the server, too, and hold back the snapshot's xmin: from now on the gaps are old enough for the locks. */
function letGapsAge(): void {
  nowMs += 5_000;
}

/** A claimed route of which the test holds the clock. */
async function claim(
  options: Partial<PollingOptions> = {},
  aggregateTypes: readonly string[] | null = null,
): Promise<PollingCapture> {
  const connection = (): PgConnection => new PgConnection({ databaseUrl: database.url, applicationName: 'capture' });
  const store = new PgLedgerStore(connection());
  const claimed = await store.claim({ route: 'r', owner: 'a', ttlMs: 60_000, from: { kind: 'earliest' } });
  if (claimed.kind !== 'claimed') {
    throw new Error(`The claim was answered with ${claimed.kind}.`);
  }
  const capture = new PollingCapture({
    reader: new PgOutboxReader(connection(), { aggregateTypes }),
    store,
    clock: { nowMs: () => nowMs, sleep: () => Promise.resolve() },
    claimed: claimed.state,
    options: { ...DEFAULT_POLLING_OPTIONS, ...options },
    firstPage: new FirstPage(),
  });
  captures.push(capture);
  return capture;
}

async function read(capture: PollingCapture): Promise<CapturedPage> {
  const page = await capture.nextPage();
  if (page.isChanged) {
    await capture.settle(page);
  }
  return page;
}

/** Settled pages until one is not full. */
async function drain(capture: PollingCapture, pagesMax = 1_000): Promise<CapturedPage[]> {
  const pages: CapturedPage[] = [];
  for (let isFull = true; isFull && pages.length < pagesMax;) {
    const page = await read(capture);
    pages.push(page);
    isFull = page.isFull;
  }
  return pages;
}

const positionsOf = (...pages: readonly CapturedPage[]): number[] =>
  pages.flatMap(({ events }) => events.map(({ position }) => Number(position)));

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

async function storedGaps(): Promise<[number, number][]> {
  const { rows } = await client.query<{ lo: number; hi: number }>(
    'select lo::integer, hi::integer from millrace.ledger_gap order by lo',
  );
  return rows.map(({ lo, hi }) => [lo, hi]);
}

describe('a route with a filter', () => {
  it('settles the rows of others without gaps, and leaves their payloads in the database', async () => {
    const capture = await claim({}, ['account']);
    await insert(client, { type: 'order', count: 20, bytes: 10_000 });
    await insert(client, { bytes: 100 });
    await insert(client, { type: 'order', bytes: 10_000 });

    const page = await read(capture);

    expect(page).toMatchObject({ rowCount: 22, isFull: false, isChanged: true });
    expect(positionsOf(page)).toEqual([21]);
    expect(page.bytes).toBeLessThan(200);
    expect(capture.status()).toMatchObject({ low: 22n, high: 22n, gapRanges: 0, gapsDied: 0 });
  });

  it('bounds its pages by all rows, wanted or not', async () => {
    const capture = await claim({ pageRowsMax: 5 }, ['account']);
    await insert(client, { type: 'order', count: 7 });
    await insert(client);

    const pages = await drain(capture);

    expect(pages.map(({ rowCount, isFull }) => [rowCount, isFull])).toEqual([
      [5, true],
      [3, false],
    ]);
    expect(positionsOf(...pages)).toEqual([8]);
  });
});

describe('a page', () => {
  it('ends with the row that reaches the limit of bytes, and says that there is more', async () => {
    const capture = await claim({ pageBytesMax: 2_500 });
    await insert(client, { count: 7, bytes: 1_000 });
    await insert(client, { bytes: 9_000 });
    await insert(client);

    const pages = await drain(capture);

    expect(pages.map((page) => [positionsOf(page), page.isFull])).toEqual([
      [[1, 2, 3], true],
      [[4, 5, 6], true],
      [[7, 8], true],
      [[9], false],
    ]);
  });

  it('that is full settles no gap above its last row, even with one row a page', async () => {
    const first = await begin();
    const second = await begin();
    await insert(first.client);
    await insert(second.client);
    await insert(client);
    const capture = await claim({ pageRowsMax: 1 });
    await read(capture);
    expect(await storedGaps()).toEqual([[1, 2]]);
    await first.end('commit');
    await second.end('commit');
    await insert(client);

    expect(positionsOf(...(await drain(capture, 4)))).toEqual([1, 2, 4]);
  });

  it('without rows is not changed and needs no settlement, also when nothing was ever written', async () => {
    const capture = await claim();

    expect(await capture.nextPage()).toMatchObject({ rowCount: 0, events: [], isFull: false, isChanged: false });
    expect(capture.status()).toMatchObject({ low: 0n, high: 0n, lastPosition: 0n, pages: 1 });
  });

  it('that is read ahead of the one that is settled is not settled with it', async () => {
    await insert(client, { count: 3 });
    const capture = await claim({ pageRowsMax: 1 });
    const first = await capture.nextPage();
    await capture.nextPage();
    await capture.settle(first);

    expect(positionsOf(await (await claim()).nextPage())).toEqual([2, 3]);
  });

  it('may be read ahead of settlement; settling the last one settles all before it', async () => {
    const open = await begin();
    await insert(open.client);
    await insert(client, { count: 2 });
    const capture = await claim({ pageRowsMax: 1 });
    await capture.nextPage();
    const second = await capture.nextPage();
    expect(capture.status()).toMatchObject({ low: 0n, high: 0n, gapRanges: 1 });

    await capture.settle(second);

    expect(capture.status()).toMatchObject({ low: 0n, high: 3n, gapRanges: 1 });
    await open.end('commit');
    expect(positionsOf(await read(capture))).toEqual([1]);
    expect(await storedGaps()).toEqual([]);
  });
});

describe('a gap', () => {
  it('outlives every writer that may fill it, also one whose xid is above all that had ended when it was found', async () => {
    const early = await begin();
    await early.client.query('select pg_current_xact_id()');
    const late = await begin();
    await insert(late.client);
    await insert(early.client);
    await early.end('commit');
    const capture = await claim();
    expect(positionsOf(await read(capture))).toEqual([2]);
    letGapsAge();
    expect(positionsOf(await read(capture), await read(capture))).toEqual([]);

    await late.end('commit');

    expect(positionsOf(await read(capture))).toEqual([1]);
  });

  it('of a rollback dies with the next page and low moves on, without new events', async () => {
    const open = await begin();
    await insert(open.client, { count: 3 });
    await insert(client);
    const capture = await claim();
    await read(capture);
    await open.end('rollback');
    letGapsAge();

    expect(await read(capture)).toMatchObject({ rowCount: 0, isChanged: true });
    expect(capture.status()).toMatchObject({ low: 4n, high: 4n, gapRanges: 0, gapsDied: 3 });
    expect(await storedGaps()).toEqual([]);
  });

  it('of a rolled-back savepoint dies while its transaction goes on, and the transaction loses nothing', async () => {
    const open = await begin();
    await open.client.query('savepoint s');
    await insert(open.client);
    await open.client.query('rollback to s');
    await insert(client);
    const capture = await claim();
    await read(capture);
    expect(capture.status().gapRanges).toBe(1);
    letGapsAge();
    await read(capture);
    expect(capture.status()).toMatchObject({ low: 2n, gapRanges: 0 });
    await insert(open.client);
    await open.end('commit');

    expect(positionsOf(await read(capture))).toEqual([3]);
  });

  it('of a prepared transaction stays until that has ended', async () => {
    const gid = database.name;
    await client.query('begin');
    await insert(client);
    await client.query(`prepare transaction '${gid}'`);
    await insert(client);
    const capture = await claim({ gapRangesMax: 0 });
    await read(capture);
    letGapsAge();
    await read(capture);
    expect(capture.status()).toMatchObject({ gapRanges: 1 });
    expect(capture.status().gapHolder).toMatch(new RegExp(`^prepared transaction ${gid}, open for \\d+ s$`));

    await client.query(`commit prepared '${gid}'`);

    expect(positionsOf(await read(capture))).toEqual([1]);
  });

  it('is one of many that a new owner finds in the order of their positions', async () => {
    const open = await begin();
    for (let gaps = 0; gaps < 7; gaps += 1) {
      await insert(open.client);
      await insert(client);
    }
    await read(await claim());
    const next = await claim();
    await open.end('commit');

    expect(positionsOf(await read(next))).toEqual([1, 3, 5, 7, 9, 11, 13]);
    expect(next.status()).toMatchObject({ low: 14n, gapRanges: 0 });
    expect(await read(next)).toMatchObject({ rowCount: 0 });
  });

  it('survives a new owner, who knows its bound from the ledger', async () => {
    const open = await begin();
    await insert(open.client);
    await insert(client);
    await read(await claim());
    const next = await claim();
    expect(next.status()).toMatchObject({ low: 0n, high: 2n, gapRanges: 1 });
    await read(next);
    expect(next.status().gapRanges).toBe(1);

    await open.end('commit');

    expect(positionsOf(await read(next))).toEqual([1]);
  });

  describe('beside a long transaction', () => {
    beforeEach(async () => {
      const elsewhere = new pg.Client(testPostgresUrl());
      await elsewhere.connect();
      const long = await begin(elsewhere);
      await long.client.query('select pg_current_xact_id()');
    });

    it('in another database dies by the locks, once it is a second old', async () => {
      await client.query('begin');
      await insert(client);
      await client.query('rollback');
      await insert(client);
      const capture = await claim();
      await read(capture);
      nowMs += 500;
      await read(capture);
      expect(capture.status().gapRanges).toBe(1);

      nowMs += 600;
      await read(capture);

      expect(capture.status()).toMatchObject({ low: 2n, gapRanges: 0 });
    });

    it('waits for a writer of the outbox, but not for one that began after it', async () => {
      const early = await begin();
      await insert(early.client);
      await insert(client);
      const capture = await claim();
      await read(capture);
      const late = await begin();
      await insert(late.client);
      letGapsAge();
      await read(capture);
      expect(capture.status().gapRanges).toBe(1);

      await early.end('rollback');
      letGapsAge();
      await read(capture);

      expect(capture.status()).toMatchObject({ low: 2n, gapRanges: 0 });
      await late.end('commit');
      expect(positionsOf(await read(capture))).toEqual([3]);
    });

    it('is kept while somebody holds an inserter’s lock without showing an xid', async () => {
      await client.query('begin');
      await insert(client);
      await client.query('rollback');
      await insert(client);
      const holder = await begin();
      await holder.client.query('lock table millrace.outbox in row exclusive mode');
      const capture = await claim();
      await read(capture);
      letGapsAge();
      await read(capture);
      expect(capture.status().gapRanges).toBe(1);

      await holder.end('commit');
      letGapsAge();
      await read(capture);

      expect(capture.status()).toMatchObject({ low: 2n, gapRanges: 0 });
    });

    it('does not hide a commit that comes between the look at the locks and the page', async () => {
      const open = await begin();
      await insert(open.client);
      await insert(client);
      const capture = await claim();
      await read(capture);
      await open.end('commit');
      letGapsAge();

      expect(positionsOf(await read(capture))).toEqual([1]);
      expect(capture.status().gapsDied).toBe(0);
    });
  });
});

describe('a bulk transaction', () => {
  it('of 200,000 events that was rolled back is one range', async () => {
    await client.query('begin');
    await insert(client, { count: 200_000, bytes: 0 });
    await client.query('rollback');
    await insert(client);
    const capture = await claim();

    expect(positionsOf(await read(capture))).toEqual([200_001]);
    expect(await storedGaps()).toEqual([[1, 200_000]]);
    letGapsAge();
    await read(capture);

    expect(capture.status()).toMatchObject({ low: 200_001n, gapRanges: 0, gapsDied: 200_000 });
  });

  it('that commits late into a wide range comes in small pages, complete, in order, once', async () => {
    const bulk = await begin();
    await insert(bulk.client, { count: 3_000 });
    await insert(client);
    const capture = await claim({ pageRowsMax: 97 });
    expect(positionsOf(await read(capture))).toEqual([3_001]);
    await bulk.end('commit');
    await insert(client);

    const pages = await drain(capture);

    expect(positionsOf(...pages)).toEqual([...upTo(3_000), 3_002]);
    expect(Math.max(...pages.map(({ rowCount }) => rowCount))).toBe(97);
    expect(capture.status()).toMatchObject({ low: 3_002n, gapRanges: 0, gapsDied: 0 });
  });
});

describe('the sequence', () => {
  it('may jump further than one poll looks', async () => {
    await insert(client);
    const capture = await claim();
    await read(capture);
    await client.query(`select setval('millrace.position', 2500000)`);
    await insert(client);

    const pages = [await read(capture), await read(capture)];

    expect(positionsOf(...pages)).toEqual([2_500_001]);
    expect(capture.status()).toMatchObject({ high: 2_500_001n, gapRanges: 1 });
    letGapsAge();
    await read(capture);
    expect(capture.status()).toMatchObject({ low: 2_500_001n, gapRanges: 0 });
  });

  it('may jump beyond all leaves: the default partition is read, too', async () => {
    const capture = await claim();
    await client.query(`select setval('millrace.position', 900000000)`);
    await insert(client);

    expect(positionsOf(await read(capture), await read(capture))).toEqual([900_000_001]);
  });

  it.each(['cache 10', 'increment 2', 'cycle'])('with %s stops the route', async (setting) => {
    const capture = await claim();
    await client.query(`alter sequence millrace.position ${setting}`);

    await expect(capture.nextPage()).rejects.toMatchObject({
      code: 'sequence_undisciplined',
      disposition: 'stop',
      message: expect.stringContaining('alter sequence millrace.position cache 1 increment 1 no cycle'),
    });
  });

  it('that cannot get leaves is read all the same, within seconds', async () => {
    await insert(client, { count: 3 });
    await client.query(`create or replace function millrace.ensure_leaves(ahead integer default 10, width bigint default 1000000)
      returns integer language sql as 'select 0 from pg_sleep(60)'`);
    const capture = await claim();

    expect(positionsOf(await read(capture), await read(capture))).toEqual([1, 2, 3]);
    expect(capture.status().leavesAhead).toBe(9);
  });

  it('that is spoiled while the route runs stops it within ten seconds', async () => {
    const capture = await claim();
    await read(capture);
    await client.query(`alter sequence millrace.position cache 10`);
    nowMs += 10_000;

    await expect(capture.nextPage()).rejects.toMatchObject({ code: 'sequence_undisciplined' });
  });

  it('that was set back below what was seen stops the route with the next page', async () => {
    await insert(client, { count: 5 });
    const capture = await claim();
    await read(capture);
    await client.query(`select setval('millrace.position', 2)`);

    await expect(capture.nextPage()).rejects.toMatchObject({
      code: 'sequence_behind',
      message: expect.stringContaining(`select setval('millrace.position', 5)`),
    });
  });

  it('that a row with a position of its own has passed stops the route before the row is handed out', async () => {
    await client.query(
      `insert into millrace.outbox (position, id, aggregatetype, aggregateid, type, payload)
       values (50, gen_random_uuid(), 'account', 'k', 'changed', '{}')`,
    );

    await expect((await claim()).nextPage()).rejects.toMatchObject({ code: 'sequence_behind' });
  });
});

describe('with more gaps than allowed', () => {
  it('high waits and the holder is named; when it has ended the route goes on and nothing is lost', async () => {
    const capture = await claim({ gapRangesMax: 3 });
    const holder = await begin();
    for (let gaps = 0; gaps < 4; gaps += 1) {
      await insert(holder.client);
      await insert(client);
    }
    expect(positionsOf(await read(capture))).toEqual([2, 4, 6, 8]);
    await insert(client);
    letGapsAge();

    expect(positionsOf(await read(capture))).toEqual([]);
    expect(capture.status()).toMatchObject({ high: 8n, gapRanges: 4, lastPosition: 9n });
    expect(capture.status().gapHolder).toMatch(/^pid \d+, open for \d+ s, application test connection$/);

    await holder.end('commit');
    expect(positionsOf(await read(capture), await read(capture))).toEqual([1, 3, 5, 7, 9]);
    expect(capture.status()).toMatchObject({ low: 9n, high: 9n, gapRanges: 0, gapHolder: null });
  });
});
