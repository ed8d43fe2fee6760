import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { migrate } from '@millrace/schema';
import { TemporaryPostgres, until } from '@millrace/testing';
import pg from 'pg';
import { type CapturePort } from './capture-port.js';
import { parseLsn } from './lsn.js';
import { PgConnection } from './pg-connection.js';
import { createOutboxSource } from './outbox-source.js';

/** A durable server on which an asynchronous commit stays in memory until somebody flushes. */
const LAZY = { synchronous_commit: 'off', wal_writer_delay: '10s', wal_writer_flush_after: '1GB', autovacuum: 'off' };

let server: TemporaryPostgres;

beforeAll(async () => {
  server = new TemporaryPostgres(LAZY);
  await server.start();
  await migrate({ databaseUrl: server.adminUrl });
});

afterAll(async () => {
  await server.remove();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.adminUrl });
  client.on('error', () => undefined); // the server is killed on purpose
  await client.connect();
  return client;
}

describe('beside producers that commit asynchronously', () => {
  let producer: pg.Client;
  let capture: CapturePort;

  beforeEach(async () => {
    producer = await connect();
    capture = await claim();
  });

  afterEach(async () => {
    await capture.close();
    await producer.end();
  });

  async function claim(): Promise<CapturePort> {
    const source = createOutboxSource({ name: 'source', databaseUrl: server.adminUrl });
    const from = { kind: 'earliest' } as const;
    const result = await source.claim({ route: 'r', owner: 'a', ttlMs: 600_000, from, aggregateTypes: null });
    if (result.kind !== 'claimed') {
      throw new Error(`The claim was answered with ${result.kind}.`);
    }
    return result.capture;
  }

  async function insert(count: number): Promise<void> {
    await producer.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
       select gen_random_uuid(), 'account', 'k', 'changed', '{}' from generate_series(1, $1)`,
      [count],
    );
  }

  /** Returns where the WAL of a commit ends that is visible and not on the disk. */
  async function insertUnflushed(count: number): Promise<bigint> {
    for (let tries = 0; tries < 20; tries += 1) {
      await insert(count);
      const committed = await lsn('insert');
      if ((await lsn('flush')) < committed) {
        return committed;
      }
    }
    throw new Error('The server flushed every one of 20 asynchronous commits at once.');
  }

  async function lsn(which: 'insert' | 'flush'): Promise<bigint> {
    const { rows } = await producer.query<{ lsn: string }>(`select pg_current_wal_${which}_lsn()::text as lsn`);
    return parseLsn(rows[0]?.lsn ?? '');
  }

  it('nothing is handed out before it is on the disk', async () => {
    await capture.nextPage();
    const committed = await insertUnflushed(3);

    const page = await capture.nextPage();

    expect(await lsn('flush')).toBeGreaterThanOrEqual(committed);
    expect(page.events.slice(-3).map(({ aggregateId }) => aggregateId)).toEqual(['k', 'k', 'k']);
  });

  it('nothing that was handed out has vanished when the server is killed, and no position comes with two ids', async () => {
    const handedOut = new Map<bigint, string>();
    for (let round = 0; round < 3; round += 1) {
      await capture.nextPage();
      await insertUnflushed(2);
      const page = await capture.nextPage();
      for (const { position, id } of page.events) {
        expect(handedOut.get(position) ?? id).toBe(id);
        handedOut.set(position, id);
      }
      expect(page.events.length).toBeGreaterThanOrEqual(2);
      await server.kill();
      await Promise.all([capture.close(), producer.end().catch(() => undefined)]);
      await server.start();
      producer = await connect();
      capture = await claim();
    }
    await insert(2);

    const { rows } = await producer.query<{ position: string; id: string }>('select position, id from millrace.outbox');
    const there = new Map(rows.map(({ position, id }) => [BigInt(position), id]));
    expect([...handedOut].filter(([position, id]) => there.get(position) !== id)).toEqual([]);
  });
});

describe('a connection', () => {
  it('that the server refuses for its password says so', async () => {
    const hba = join(server.dataDir, 'pg_hba.conf');
    const before = await readFile(hba, 'utf8');
    const admin = await connect();
    await admin.query(`create role locked login password 'right'`);
    await writeFile(hba, `host all locked 127.0.0.1/32 scram-sha-256\n`);
    await appendFile(hba, before);
    await admin.query('select pg_reload_conf()');
    const claiming = async (password: string): Promise<unknown> => {
      const databaseUrl = Object.assign(new URL(server.adminUrl), { username: 'locked', password }).toString();
      const from = { kind: 'earliest' } as const;
      return createOutboxSource({ name: 's', databaseUrl })
        .claim({ route: 'r', owner: 'b', ttlMs: 1_000, from, aggregateTypes: null })
        .catch((error: unknown) => error);
    };

    const isRefused = expect.objectContaining({ code: 'authentication_failed' });
    const refusal = await until(
      () => claiming('guess'),
      (answer) => isRefused.asymmetricMatch(answer),
      'the new rules of pg_hba.conf',
    );
    expect(refusal).toMatchObject({ message: expect.stringMatching(/user name or password(?!.*guess)/) });
    expect(await claiming('')).toMatchObject({ message: expect.stringMatching(/client password must be/) });
    expect(await claiming('right')).toMatchObject({ code: 'not_authorised' });
    await admin.end();
  });

  it('to a server that is frozen is cut when it is closed', async () => {
    const connection = new PgConnection({ databaseUrl: server.adminUrl, applicationName: 'test' });
    const [row] = await connection.rows({ text: 'select pg_backend_pid()' });
    const pid = Number(row?.[0]);
    process.kill(pid, 'SIGSTOP');
    try {
      await connection.close();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expect(connection.rows({ text: 'select 1' })).rejects.toMatchObject({ code: 'internal' });
  });
});
