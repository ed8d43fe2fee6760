import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { isPortFree } from './free-port.js';
import { LocalPostgres } from './local-postgres.js';
import { isProcessAlive } from './process-tree.js';

const temporaryDir = mkdtempSync(join(tmpdir(), 'millrace-postgres-'));
const postgres = new LocalPostgres({ dataDir: join(temporaryDir, 'data'), temporaryDir });

async function query(text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: postgres.adminUrl });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(text);
    return rows;
  } finally {
    await client.end();
  }
}

describe('a local PostgreSQL', () => {
  beforeAll(async () => {
    await postgres.start();
  });

  afterAll(async () => {
    await postgres.stop();
    rmSync(temporaryDir, { recursive: true, force: true });
  });

  it('is durable, decodes its WAL and allows prepared transactions', async () => {
    const names = ['fsync', 'synchronous_commit', 'wal_level', 'max_prepared_transactions', 'server_version_num'];
    const rows = await query(`select ${names.map((name) => `current_setting('${name}') as ${name}`).join(', ')}`);
    expect(rows).toEqual([
      {
        fsync: 'on',
        synchronous_commit: 'on',
        wal_level: 'logical',
        max_prepared_transactions: '50',
        server_version_num: expect.stringMatching(/^18/),
      },
    ]);
  });

  it('comes back on its port with committed and prepared work after SIGKILL of all its processes', async () => {
    await query('create table kept (id int)');
    await query(`begin; insert into kept values (1); prepare transaction 'survives'`);
    const { pid, port } = postgres;

    const exited = postgres.exited();
    await postgres.kill();
    expect(await exited).toBe('SIGKILL');
    expect(isProcessAlive(pid)).toBe(false);
    expect(await isPortFree(port)).toBe(true);
    await postgres.start();
    expect(postgres.port).toBe(port);
    await query(`commit prepared 'survives'`);
    expect(await query('select id from kept')).toEqual([{ id: 1 }]);
  });

  it('ends open transactions at a fast stop and starts again', async () => {
    const client = new pg.Client({ connectionString: postgres.adminUrl });
    const ended = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    await client.query('begin; insert into kept values (2)');

    await postgres.stop('fast');
    await ended;
    await client.end();

    expect(postgres.isRunning).toBe(false);
    expect(() => postgres.pid).toThrow('PostgreSQL is not running');
    await postgres.stop();
    await postgres.start();
    expect(await query('select id from kept')).toEqual([{ id: 1 }]);
  });

  it('says why it did not start', async () => {
    const twin = new LocalPostgres({ dataDir: join(temporaryDir, 'twin'), settings: { shared_buffers: 'much' } });
    await expect(twin.start()).rejects.toThrow(/ended while it was starting[^]*shared_buffers/);
  });
});
