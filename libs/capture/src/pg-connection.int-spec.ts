import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { createTestDatabase, FaultProxy, type TestDatabase, until } from '@millrace/testing';
import { PgConnection } from './pg-connection.js';

let database: TestDatabase;
let connection: PgConnection;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = new PgConnection({ databaseUrl: database.url, applicationName: 'test connection' });
});

afterAll(async () => {
  await connection.close();
  await database.drop();
});

describe('a connection to a source', () => {
  it('hands the driver one statement at a time, and a failed one holds up no other', async () => {
    const warnings: string[] = [];
    const note = ({ message }: Error): void => {
      warnings.push(message);
    };
    process.on('warning', note);
    const outcomes = await Promise.allSettled([
      connection.rows({ text: 'select 1' }),
      connection.rows({ text: 'select nonsense' }),
      connection.records({ text: 'select 2 as two' }),
      connection.run('select 3'),
    ]);
    await new Promise((resolve) => setImmediate(resolve)); // warnings are told later
    process.off('warning', note);

    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: [['1']] },
      { status: 'rejected', reason: { name: 'CaptureError' } },
      { status: 'fulfilled', value: [{ two: '2' }] },
      { status: 'fulfilled' },
    ]);
    expect(warnings).toEqual([]);
  });

  it('is cut when an answer does not come, and what is asked after it fails without a wait of its own', async () => {
    const { hostname, port } = new URL(database.url);
    const proxy = await FaultProxy.start({ target: { host: hostname, port: Number(port) }, protocol: 'postgres' });
    const deaf = new PgConnection({
      databaseUrl: proxy.through(database.url),
      applicationName: 'test deaf',
      answerTimeoutMs: 1_000,
    });
    try {
      await deaf.run('select 1');
      proxy.set({ kind: 'drop', direction: 'to-client' });
      const outcomes = await Promise.allSettled([deaf.run('select 2'), deaf.run('select 3')]);

      const rejected = (message: RegExp): object => ({
        status: 'rejected',
        reason: { code: 'database_unavailable', message: expect.stringMatching(message) },
      });
      expect(outcomes).toMatchObject([rejected(/read timeout/), rejected(/Connection terminated|not queryable/)]);
    } finally {
      await deaf.close();
      await proxy.stop();
    }
  });

  it('ends when its signal aborts, in the middle of a statement, too, and leaves no listener on a signal', async () => {
    const cut = new AbortController();
    const options = { databaseUrl: database.url, applicationName: 'test cut', signal: cut.signal };
    const [busy, closed] = [new PgConnection(options), new PgConnection(options)];
    // so that the server, too, leaves the statement when its client is gone
    await busy.run("set client_connection_check_interval = '50ms'");
    await closed.close();
    expect(getEventListeners(cut.signal, 'abort')).toHaveLength(1);
    const asleep = expect(busy.run('select pg_sleep(60)')).rejects.toMatchObject({ code: 'database_unavailable' });
    const sleepers = "select from pg_stat_activity where application_name = 'test cut' and wait_event = 'PgSleep'";
    await until(
      () => connection.rows({ text: sleepers }),
      (rows) => rows.length === 1,
      'a statement under way',
    );
    cut.abort();

    await asleep;
    await expect(busy.run('select 1')).rejects.toThrow('has been closed');
    expect(getEventListeners(cut.signal, 'abort')).toEqual([]);
  });
});
