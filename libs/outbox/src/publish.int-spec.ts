import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import fc from 'fast-check';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { toJsonbText } from './jsonb-text.js';
import { Outbox } from './outbox.js';
import { type PublishedEvent } from './outbox-writer.js';
import { type Transaction } from './transaction.js';

const Placed = defineEvent({
  type: 'order.placed',
  schemaVersion: 3,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string(), note: z.string().optional() }),
});
const Unknown = defineEvent({
  type: 'order.unknown',
  schemaVersion: 3,
  aggregate: 'order',
  key: (order) => order.orderId,
  schema: z.object({ orderId: z.string() }),
});

const outbox = new Outbox({ events: [Placed] });

let database: TestDatabase;
let observer: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  observer = await database.connect();
});

beforeEach(async () => {
  await observer.query(`
    set millrace.retention = on;
    truncate millrace.outbox;
    reset millrace.retention;
    select setval('millrace.position', 1, false)`);
});

afterAll(async () => {
  await observer.end();
  await database.drop();
});

async function withDataSource<Result>(work: (dataSource: DataSource) => Promise<Result>): Promise<Result> {
  const dataSource = new DataSource({ type: 'postgres', url: database.url });
  await dataSource.initialize();
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

async function withClient<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = await database.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function storedKeys(): Promise<string[]> {
  const { rows } = await observer.query<{ aggregateid: string }>(
    'select aggregateid from millrace.outbox order by position',
  );
  return rows.map(({ aggregateid }) => aggregateid);
}

/** Waits until a session of this database waits for a lock of the kind given. */
async function someoneWaitsFor(locktype: string): Promise<void> {
  const waiting = `select from pg_locks l join pg_database d on d.oid = l.database
    where not l.granted and l.locktype = $1 and d.datname = current_database()`;
  const look = async (): Promise<number> => (await observer.query(waiting, [locktype])).rowCount ?? 0;
  await until(look, (found) => found > 0, `a session that waits for a lock of kind ${locktype}`);
}

describe('publish with a transaction', () => {
  /** Runs `work` in a transaction of each kind of handle and ends it as told. */
  const handles: [string, (work: (transaction: Transaction) => Promise<void>, isCommit: boolean) => Promise<void>][] = [
    [
      'a pg client',
      async (work, isCommit) => {
        await withClient(async (client) => {
          await client.query('begin');
          await work(client);
          await client.query(isCommit ? 'commit' : 'rollback');
        });
      },
    ],
    [
      'an EntityManager',
      async (work, isCommit) => {
        await withDataSource(async (dataSource) => {
          const done = dataSource.transaction(async (manager) => {
            await work(manager);
            if (!isCommit) {
              throw new Error('wanted');
            }
          });
          await (isCommit ? done : expect(done).rejects.toThrow('wanted'));
        });
      },
    ],
    [
      'a QueryRunner',
      async (work, isCommit) => {
        await withDataSource(async (dataSource) => {
          const runner = dataSource.createQueryRunner();
          await runner.startTransaction();
          await work(runner);
          await (isCommit ? runner.commitTransaction() : runner.rollbackTransaction());
          await runner.release();
        });
      },
    ],
  ];

  it.each(handles)('of %s writes with its commit and not before', async (_, run) => {
    let published: readonly PublishedEvent[] = [];
    await run(async (transaction) => {
      published = await outbox.publish(transaction, Placed, [{ orderId: 'b' }, { orderId: 'a' }]);
      published = [...published, ...(await outbox.publish(transaction, Placed, { orderId: 'b' }))];
      expect(await storedKeys()).toEqual([]);
    }, true);

    expect(await storedKeys()).toEqual(['b', 'a', 'b']);
    const { rows } = await observer.query<{ id: string; position: string }>(
      'select id, position from millrace.outbox order by position',
    );
    expect(published.map(({ id, position }) => ({ id, position: position.toString() }))).toEqual(rows);
  });

  it.each(handles)('of %s leaves nothing behind a rollback', async (_, run) => {
    await run(async (transaction) => {
      await outbox.publish(transaction, Placed, { orderId: 'a' });
    }, false);

    expect(await storedKeys()).toEqual([]);
  });

  it('fills every column of the contract', async () => {
    await withClient(async (client) => {
      await client.query('begin');
      await outbox.publish(
        client,
        Placed,
        { orderId: 'o-1', note: `ü "quoted" {a,b} \\ NULL` },
        {
          headers: { traceparent: '00-1', tenant: 't"{}' },
          aggregateVersion: 7,
          id: '0190d6a0-0000-7000-8000-000000000001',
        },
      );
      await outbox.publish(client, Placed, [{ orderId: 'o-2' }, { orderId: 'o-3' }], { headers: { tenant: 't' } });
      await client.query('commit');
    });

    const { rows } = await observer.query(`
      select id, aggregatetype, aggregateid, type, aggregateversion::integer, schemaversion, payload::text, headers
      from millrace.outbox where clock_timestamp() - occurred_at between '0' and '1 minute' order by position`);
    expect(rows).toEqual([
      {
        id: '0190d6a0-0000-7000-8000-000000000001',
        aggregatetype: 'order',
        aggregateid: 'o-1',
        type: 'order.placed',
        aggregateversion: 7,
        schemaversion: 3,
        payload: '{"note": "ü \\"quoted\\" {a,b} \\\\ NULL", "orderId": "o-1"}',
        headers: { traceparent: '00-1', tenant: 't"{}' },
      },
      expect.objectContaining({ aggregateid: 'o-2', aggregateversion: null, headers: { tenant: 't' } }),
      expect.objectContaining({ aggregateid: 'o-3', payload: '{"orderId": "o-3"}' }),
    ]);
  });

  it('gives 2,500 payloads of one call rising positions in the order of the call', async () => {
    const keys = Array.from({ length: 2_500 }, (_, n) => `k-${(n * 7_919) % 2_500}`);
    const published = await withClient(async (client) => {
      await client.query('begin');
      const result = await outbox.publish(
        client,
        Placed,
        keys.map((orderId) => ({ orderId })),
      );
      await client.query('commit');
      return result;
    });

    expect(await storedKeys()).toEqual(keys);
    expect(published.map(({ position }) => position)).toEqual(keys.map((_, n) => BigInt(n + 1)));
  });

  it('writes nothing and asks nothing for an empty list', async () => {
    await withClient(async (client) => {
      await client.query('begin');
      expect(await outbox.publish(client, Placed, [])).toEqual([]);
      await client.query('rollback');
    });
  });

  it('never counts fewer bytes than PostgreSQL prints', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ stringUnit: 'binary' }), async (value) => {
        const json = toJsonbText(value);
        if ('reason' in json) {
          return;
        }
        const { rows } = await observer.query<{ bytes: number }>('select octet_length($1::jsonb::text) as bytes', [
          json.text,
        ]);
        const printed = rows[0]?.bytes ?? Infinity;
        expect(json.printedBytes).toBeGreaterThanOrEqual(printed);
        if (!/\de/.test(json.text)) {
          expect(json.printedBytes).toBe(printed);
        }
      }),
      { numRuns: 200, seed: 20_261_121 },
    );
  });
});

describe('publish refuses', () => {
  const placed = { orderId: 'a' };

  afterEach(async () => {
    expect(await storedKeys()).toEqual([]);
  });

  it('a pg client before BEGIN, after COMMIT and after ROLLBACK', async () => {
    await withClient(async (client) => {
      const refusal = { code: 'no_transaction', message: expect.stringMatching(/This client has no open transaction/) };
      await expect(outbox.publish(client, Placed, placed)).rejects.toMatchObject(refusal);
      await client.query('begin');
      await client.query('commit');
      await expect(outbox.publish(client, Placed, placed)).rejects.toMatchObject(refusal);
      await client.query('begin');
      await client.query('rollback');
      await expect(outbox.publish(client, Placed, placed)).rejects.toMatchObject(refusal);
    });
  });

  it('a pg client that is not connected', async () => {
    await expect(outbox.publish(new pg.Client(), Placed, placed)).rejects.toMatchObject({ code: 'no_transaction' });
  });

  it('a pg Pool', async () => {
    const pool = new pg.Pool({ connectionString: database.url });
    // @ts-expect-error a Pool is no transaction, and the compiler says so too
    const publishing = outbox.publish(pool, Placed, placed);

    await expect(publishing).rejects.toMatchObject({
      code: 'no_transaction',
      message: expect.stringMatching(/^This is a pg Pool/),
    });
    await pool.end();
  });

  it('a client that cannot tell its state, and what is no client at all', async () => {
    const client = { query: () => Promise.resolve({ rows: [] }) };
    // @ts-expect-error an old pg client
    await expect(outbox.publish(client, Placed, placed)).rejects.toMatchObject({ code: 'client_unsupported' });
    // @ts-expect-error nothing of use
    await expect(outbox.publish(undefined, Placed, placed)).rejects.toMatchObject({ code: 'no_transaction' });
  });

  it('a transaction in which a statement failed', async () => {
    await withClient(async (client) => {
      await client.query('begin');
      await expect(client.query('select 1/0')).rejects.toThrow();
      await expect(outbox.publish(client, Placed, placed)).rejects.toMatchObject({ code: 'transaction_failed' });
    });
  });

  it("a DataSource, its manager, a runner without transaction and a finished transaction's manager", async () => {
    await withDataSource(async (dataSource) => {
      const outside = { code: 'no_transaction', message: expect.stringMatching(/dataSource\.transaction\(\)/) };
      await expect(outbox.publish(dataSource.manager, Placed, placed)).rejects.toMatchObject(outside);
      // @ts-expect-error a DataSource is no transaction, and the compiler says so too
      await expect(outbox.publish(dataSource, Placed, placed)).rejects.toMatchObject(outside);

      const runner = dataSource.createQueryRunner();
      await expect(outbox.publish(runner, Placed, placed)).rejects.toMatchObject({
        code: 'no_transaction',
        message: expect.stringMatching(/Call startTransaction\(\)/),
      });
      await runner.release();

      const kept = await dataSource.transaction((manager) => Promise.resolve(manager));
      await expect(outbox.publish(kept, Placed, placed)).rejects.toMatchObject({ code: 'transaction_finished' });
    });
  });

  it('a runner whose transaction was committed behind its back', async () => {
    await withDataSource(async (dataSource) => {
      const runner = dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.query('commit');
      expect(runner.isTransactionActive).toBe(true);

      await expect(outbox.publish(runner, Placed, placed)).rejects.toMatchObject({ code: 'no_transaction' });
      await runner.release();
    });
  });

  it('an event that is not registered, and what is no contract', async () => {
    await withClient(async (client) => {
      await client.query('begin');
      await expect(outbox.publish(client, Unknown, placed)).rejects.toMatchObject({
        code: 'unknown_event',
        message: expect.stringMatching(/^Event order\.unknown \(schema version 3\) is not registered/),
      });
      // @ts-expect-error a name is no contract
      await expect(outbox.publish(client, 'order.placed', placed)).rejects.toMatchObject({ code: 'unknown_event' });
      await client.query('rollback');
    });
  });

  it('another payload than the contract has, when compiled and when run', async () => {
    await withClient(async (client) => {
      await client.query('begin');
      // @ts-expect-error a number is no text
      await expect(outbox.publish(client, Placed, { orderId: 1 })).rejects.toMatchObject({ code: 'payload_invalid' });
      // @ts-expect-error orderId is missing
      await expect(outbox.publish(client, Placed, {})).rejects.toMatchObject({ code: 'payload_invalid' });
      await client.query('rollback');
    });
  });

  it('2 MB, with the default limit, before it asks the database', async () => {
    await withClient(async (client) => {
      await client.query('begin');
      await expect(outbox.publish(client, Placed, { orderId: 'a', note: 'x'.repeat(2_000_000) })).rejects.toMatchObject(
        {
          code: 'event_too_large',
          message: expect.stringMatching(/^Event order\.placed has 2000\d{3} bytes .* the limit is 921600\./),
        },
      );
      expect(client.getTransactionStatus()).toBe('T');
      await client.query('rollback');
    });
  });

  it('the ambient form where none is configured', async () => {
    await expect(outbox.publish(Placed, placed)).rejects.toMatchObject({ code: 'ambient_not_configured' });
  });

  it('to insert without the grant, and says which one', async () => {
    const login = `login_${database.name}`;
    await observer.query(`create role ${login}`);
    await withClient(async (client) => {
      await client.query(`begin; set local role ${login}`);
      await expect(outbox.publish(client, Placed, placed)).rejects.toMatchObject({
        code: 'not_authorised',
        message: expect.stringMatching(/grant millrace_producer to/),
      });
    });
    await observer.query(`drop role ${login}`);
  });

  it('a database without the schema', async () => {
    const empty = await createTestDatabase({ isMigrated: false });
    const client = await empty.connect();
    await client.query('begin');
    await expect(outbox.publish(client, Placed, placed)).rejects.toMatchObject({ code: 'schema_missing' });
    await client.end();
    await empty.drop();
  });
});

describe('a transaction that ends while publish is on its way', () => {
  it('is told loudly', async () => {
    await withClient(async (client) => {
      await client.query('begin');
      const committing = client.query('commit');
      const publishing = outbox.publish(client, Placed, { orderId: 'a' });

      await expect(publishing).rejects.toMatchObject({
        code: 'autocommitted',
        message: expect.stringMatching(/Await publish\(\) before COMMIT/),
      });
      await committing;
    });
  });
});

describe('the order of one key', () => {
  it('is commit order: a second publisher waits for the first one to end', async () => {
    await withClient(async (first) => {
      await withClient(async (second) => {
        await first.query('begin');
        await second.query('begin');
        await outbox.publish(first, Placed, { orderId: 'o', note: 'first' });
        const waiting = outbox.publish(second, Placed, { orderId: 'o', note: 'second' });
        await someoneWaitsFor('advisory');
        await first.query('commit');
        await waiting;
        await second.query('commit');
      });
    });

    const { rows } = await observer.query<{ note: string }>(
      `select payload->>'note' as note from millrace.outbox order by position`,
    );
    expect(rows.map(({ note }) => note)).toEqual(['first', 'second']);
  });

  it('would be lost without the lock: the first position commits last', async () => {
    await withClient(async (first) => {
      await withClient(async (second) => {
        await first.query('begin');
        await second.query('begin');
        await outbox.publish(first, Placed, { orderId: 'o', note: 'v2' }, { serialize: false });
        await outbox.publish(second, Placed, { orderId: 'o', note: 'v1' }, { serialize: false });
        await second.query('commit');
        expect(await storedKeys()).toEqual(['o']);
        await first.query('commit');
      });
    });

    const { rows } = await observer.query<{ note: string }>(
      `select payload->>'note' as note from millrace.outbox order by position`,
    );
    expect(rows.map(({ note }) => note)).toEqual(['v2', 'v1']);
  });

  it('holds even where the event is written before the row is locked: PostgreSQL ends one transaction', async () => {
    await observer.query(`create table stock (id int primary key, version int); insert into stock values (1, 0)`);
    await withClient(async (early) => {
      await withClient(async (late) => {
        await early.query('begin');
        await late.query('begin');
        await outbox.publish(early, Placed, { orderId: 'o', note: 'early' });
        await late.query('update stock set version = 1');
        const publishing = outbox.publish(late, Placed, { orderId: 'o', note: 'late' });
        await someoneWaitsFor('advisory');
        const updating = early.query('update stock set version = 2');

        const outcomes = await Promise.allSettled([
          publishing.then(() => late.query('commit')),
          updating.then(() => early.query('commit')),
        ]);

        const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome] : []));
        expect(refused).toEqual([{ status: 'rejected', reason: expect.objectContaining({ code: '40P01' }) }]);
      });
    });

    expect(await storedKeys()).toEqual(['o']);
  });

  it('is not enforced for events with a version, nor across keys', async () => {
    await withClient(async (first) => {
      await withClient(async (second) => {
        await first.query('begin');
        await second.query(`set lock_timeout = '5s'`);
        await second.query('begin');
        await outbox.publish(first, Placed, { orderId: 'o' });
        await outbox.publish(second, Placed, { orderId: 'o' }, { aggregateVersion: 1 });
        await outbox.publish(second, Placed, [{ orderId: 'p' }, { orderId: 'q' }]);
        await second.query('commit');
        await first.query('commit');
      });
    });

    expect((await storedKeys()).sort()).toEqual(['o', 'o', 'p', 'q']);
  });

  it("uses the lock that the documentation names, and passes the database's time-out through", async () => {
    await observer.query('begin');
    await observer.query(`select pg_advisory_xact_lock(hashtextextended('order' || ':' || 'o', 0))`);
    await withClient(async (client) => {
      await client.query(`set lock_timeout = '1ms'`);
      for (const payload of [{ orderId: 'o' }, [{ orderId: 'n' }, { orderId: 'o' }]]) {
        await client.query('begin');
        await expect(outbox.publish(client, Placed, payload)).rejects.toMatchObject({ name: 'error', code: '55P03' });
        await client.query('rollback');
      }
    });
    await observer.query('rollback');
  });

  it('takes the locks of a call sorted, so that calls with the same keys in another order do not deadlock', async () => {
    const keys = Array.from({ length: 1_200 }, (_, n) => ({ orderId: `k-${n}` }));
    const publishAll = async (payloads: { orderId: string }[]): Promise<void> => {
      await withClient(async (client) => {
        for (let round = 0; round < 3; round++) {
          await client.query('begin');
          await outbox.publish(client, Placed, payloads);
          await outbox.publish(client, Placed, payloads.slice(0, 40));
          await client.query('rollback');
        }
      });
    };

    await Promise.all([publishAll(keys), publishAll(keys.toReversed()), publishAll(keys.slice(200).concat(keys))]);
  });
});
