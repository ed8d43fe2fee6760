import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { adoptTable, releaseTable } from './adopt.js';
import { type AdoptRequest } from './adoption.js';

const REQUEST: AdoptRequest = { table: 'public.outbox', actor: 'test' };
const KEYS = 5;
const WRITERS = 4;
/** On a machine that is busy with other things a transaction may last longer than producers should wait. */
const PATIENT = { lockWaitMs: 2_000 };

let database: TestDatabase;
let client: pg.Client;
let writers: Writers;
let opened: pg.Client[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  await client.query(`
    create table public.outbox (id uuid primary key, aggregatetype varchar(255) not null, aggregateid varchar(255) not null,
      type varchar(255) not null, payload jsonb not null, created_at timestamptz not null default clock_timestamp());
    create index outbox_created_at_idx on public.outbox (created_at);
    create table public.aggregate (key text primary key, n integer not null);
    insert into public.aggregate select 'key-' || k, 0 from generate_series(1, ${KEYS}) k`);
  writers = new Writers();
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((other) => other.end()));
  await writers.stop();
  await client.end();
  await database.drop();
});

/** A connection that the test may leave open, with what it holds. */
async function connect(): Promise<pg.Client> {
  const other = await database.connect();
  opened.push(other);
  return other;
}

/**
 * Producers as they are: each transaction counts its aggregate up under the row's lock and inserts an event with the
 * number; one in five rolls back. Committed numbers of a key are therefore 1, 2, 3 ... in the order of their commits.
 */
class Writers {
  private isRunning = true;
  private readonly loops: Promise<void>[] = [];
  private readonly milestones: { readonly at: number; readonly reached: () => void }[] = [];
  private transactions = 0;

  async start(deletes: boolean): Promise<void> {
    for (let n = 0; n < WRITERS; n++) {
      this.loops.push(this.run(await database.connect(), deletes));
    }
  }

  /** Resolves when so many more transactions have ended. */
  async after(count: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.milestones.push({ at: this.transactions + count, reached: resolve });
    });
    await Promise.race([reached, ...this.loops]);
  }

  async stop(): Promise<void> {
    this.isRunning = false;
    await Promise.all(this.loops);
  }

  private async run(by: pg.Client, deletes: boolean): Promise<void> {
    try {
      while (this.isRunning) {
        await this.write(by, deletes);
        this.transactions++;
        for (const { at, reached } of this.milestones) {
          if (this.transactions >= at) {
            reached();
          }
        }
      }
    } finally {
      await by.end();
    }
  }

  private async write(by: pg.Client, deletes: boolean): Promise<void> {
    const key = `key-${1 + Math.floor(Math.random() * KEYS)}`;
    await by.query('begin');
    const { rows } = await by.query<{ n: number }>('update public.aggregate set n = n + 1 where key = $1 returning n', [
      key,
    ]);
    await by.query(
      `insert into public.outbox (id, aggregatetype, aggregateid, type, payload)
       values (gen_random_uuid(), 'order', $1, 'counted', jsonb_build_object('n', $2::integer))`,
      [key, rows[0]?.n],
    );
    if (deletes) {
      await by.query('delete from public.outbox where aggregateid = $1', [key]);
    }
    await by.query(Math.random() < 0.2 ? 'rollback' : 'commit');
  }
}

type Numbers = Record<string, number[]>;

/** The numbers of each key in the order of positions. */
async function copied(): Promise<Numbers> {
  const { rows } = await client.query<{ key: string; numbers: number[] }>(
    `select aggregateid as key, array_agg((payload ->> 'n')::integer order by position) as numbers
     from millrace.outbox group by 1`,
  );
  return Object.fromEntries(rows.map(({ key, numbers }) => [key, numbers]));
}

/** What must have been published: 1 to the last committed number of each key. */
async function committed(): Promise<Numbers> {
  const { rows } = await client.query<{ key: string; n: number }>('select key, n from public.aggregate where n > 0');
  return Object.fromEntries(rows.map(({ key, n }) => [key, Array.from({ length: n }, (_, index) => index + 1)]));
}

describe('a table is adopted while producers write', () => {
  it('and whoever reads the publication that it leaves has each row before, the outbox each row after', async () => {
    const slot = `slot_${database.name}`;
    await client.query('create publication other_relay for table public.outbox');
    await client.query(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await writers.start(true);
    await writers.after(100);

    await adoptTable({ client }, { ...REQUEST, leavePublication: 'other_relay', existing: { kind: 'skip' } }, PATIENT);
    await writers.after(100);
    await writers.stop();
    // a slot gives out what is flushed, and the commits of a test server do not wait for that
    await client.query(`set synchronous_commit = local; select pg_logical_emit_message(true, 'test', '')`);

    const { rows } = await client.query<{ key: string; n: string }>(
      `select substring(t from 'key-\\d+') as key, substring(t from '"n": (\\d+)') as n from (
         select encode(data, 'escape') as t from pg_logical_slot_get_binary_changes('${slot}', null, null,
           'proto_version', '1', 'publication_names', 'other_relay') where get_byte(data, 0) = ascii('I')) c`,
    );
    const numbers: Numbers = {};
    for (const { key, n } of rows) {
      (numbers[key] ??= []).push(Number(n));
    }
    const after = await copied();
    expect(Object.values(numbers).flat().length).toBeGreaterThan(20);
    expect(Object.values(after).flat().length).toBeGreaterThan(20);
    for (const [key, own] of Object.entries(after)) {
      (numbers[key] ??= []).push(...own);
    }
    expect(numbers).toEqual(await committed());
    await client.query(`select pg_drop_replication_slot('${slot}')`);
  });

  it('and older rows come before the new ones of their key, each once, although the copy is cut short twice', async () => {
    await writers.start(false);
    await writers.after(300);
    const request: AdoptRequest = { ...REQUEST, existing: { kind: 'copy', orderBy: 'created_at' } };

    for (const rows of [50, 100]) {
      const cut = await connect();
      const run = adoptTable({ client: cut }, request, {
        ...PATIENT,
        chunkRows: 25,
        onCopied: (count) => {
          if (count >= rows) {
            throw new Error('cut short');
          }
        },
      });
      await expect(run).rejects.toThrow('cut short');
    }
    await writers.after(100);
    expect((await client.query('select from millrace.adoption_held')).rowCount).toBeGreaterThan(10);
    await expect(releaseTable({ client }, { ...REQUEST })).rejects.toMatchObject({ code: 'already_adopted' });
    const results = await Promise.all(
      [1, 2].map(() => adoptTable({ databaseUrl: database.url }, request, { ...PATIENT, chunkRows: 25 })),
    );
    await writers.after(100);
    await writers.stop();

    expect(results.map(({ outcome }) => outcome)).toEqual(['unchanged', 'unchanged']);
    expect(results[0]?.copied).toBeGreaterThan(100);
    expect(await copied()).toEqual(await committed());
    expect((await client.query('select from millrace.adoption_held')).rowCount).toBe(0);
    expect(await adoptTable({ client }, request)).toMatchObject({ outcome: 'unchanged' });
    expect(await copied()).toEqual(await committed());
  });

  it('and a table that skipped its older rows does not copy them later', async () => {
    await writers.start(false);
    await writers.after(20);
    await adoptTable({ client }, { ...REQUEST, existing: { kind: 'skip' } }, PATIENT);
    await writers.stop();

    await expect(
      adoptTable({ client }, { ...REQUEST, existing: { kind: 'copy', orderBy: 'created_at' } }),
    ).rejects.toMatchObject({ code: 'already_adopted' });
  });
});

describe('the lock', () => {
  it('is not waited for behind an open transaction, and producers are not held up', async () => {
    const open = await connect();
    await open.query("begin; insert into public.outbox select gen_random_uuid(), 'order', 'open', 't', '{\"n\": 1}'");
    await writers.start(false);
    await writers.after(20);

    let adoption: Promise<unknown> = Promise.resolve();
    let looks = 0;
    const hasLookedOften = new Promise<void>((resolve) => {
      const own = {
        query: async (sql: string) => {
          looks += sql.includes('from pg_locks') ? 1 : 0;
          if (looks === 6) {
            resolve();
          }
          return await client.query(sql);
        },
      };
      adoption = adoptTable({ client: own }, { ...REQUEST, existing: { kind: 'skip' } }, { lockWaitMs: 500 });
    });
    await hasLookedOften;
    await writers.after(50);
    expect((await open.query(`select from pg_trigger where tgname = 'millrace_adopt'`)).rowCount).toBe(0);
    await open.query('commit');
    await adoption;
    await writers.stop();
    expect((await copied())['open']).toBeUndefined();
  });

  it('is not in the way of serialisable transactions that read the table', async () => {
    const reader = await connect();
    await reader.query('begin isolation level serializable; select from public.outbox');

    await adoptTable({ client }, REQUEST, { lockWaitMs: 2_000, waitMs: 1 });
    await reader.query(`insert into public.outbox select gen_random_uuid(), 'order', 'a', 't', '{"n": 1}'; commit`);

    expect(await copied()).toEqual({ a: [1] });
  });

  it('is not kept by a run that is frozen: the server ends it', async () => {
    const timeouts: unknown[] = [];
    const own = {
      query: async (sql: string) => {
        if (sql.includes('insert into millrace.adoption')) {
          timeouts.push(
            (await client.query(`select current_setting('idle_in_transaction_session_timeout') as t`)).rows,
          );
        }
        return await client.query(sql);
      },
    };

    await adoptTable({ client: own }, REQUEST, PATIENT);

    expect(timeouts).toEqual([[{ t: '5s' }]]);
    expect((await client.query('show idle_in_transaction_session_timeout')).rows).toEqual([
      { idle_in_transaction_session_timeout: '0' },
    ]);
  });

  it('that does not come leaves all as it was and tells who has the table', async () => {
    const open = await connect();
    const { rows } = await open.query<{ pid: number }>('select pg_backend_pid() as pid');
    await open.query('begin; lock table public.outbox in row exclusive mode');

    await expect(adoptTable({ client }, REQUEST, { lockWaitMs: 20, waitMs: 100 })).rejects.toMatchObject({
      code: 'table_busy',
      message: expect.stringMatching(
        new RegExp(
          `^public\\.outbox is held by process ${rows[0]?.pid} \\(test connection, open for \\d+ s\\)\\. Nothing was changed`,
        ),
      ),
    });
    expect((await client.query(`select from pg_proc where proname like 'adopted_%'`)).rowCount).toBe(0);
    await open.query('rollback');
    await adoptTable({ client }, REQUEST);

    await open.query('begin; select from public.outbox');
    await expect(releaseTable({ client }, REQUEST, { lockWaitMs: 20, waitMs: 100 })).rejects.toMatchObject({
      code: 'table_busy',
    });
    await open.end();
  });

  it('that does not come at the end of a copy leaves the copy, which another run finishes', async () => {
    await client.query(`insert into public.outbox select gen_random_uuid(), 'order', 'a', 't', '{"n": 1}'`);
    const request: AdoptRequest = { ...REQUEST, existing: { kind: 'copy', orderBy: 'id' } };
    const open = await connect();
    await open.query('begin');
    const own = {
      query: async (sql: string) => {
        if (sql.includes(`set state = 'draining'`)) {
          await open.query('lock table public.outbox in row exclusive mode');
        }
        return await client.query(sql);
      },
    };

    await expect(adoptTable({ client: own }, request, { lockWaitMs: 20, waitMs: 100 })).rejects.toMatchObject({
      code: 'table_busy',
      message: expect.stringContaining('The older rows are copied, new events wait'),
    });
    await open.end();

    expect(await adoptTable({ client }, request, PATIENT)).toMatchObject({ copied: 1 });
  });
});
