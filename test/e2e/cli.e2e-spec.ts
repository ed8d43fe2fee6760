import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MIGRATIONS, SCHEMA_VERSION } from '@millrace/schema';
import { createTestDatabase, freePort, type TestDatabase } from '@millrace/testing';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NODE_OPTIONS = ['--conditions=millrace-source', '--import', './test/e2e/run-source.mjs'];
const STEPS = MIGRATIONS.map(({ version, name }) => `Applied step ${version}: ${name}.\n`).join('');

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the program as a process of its own. */
async function millrace(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [...NODE_OPTIONS, 'apps/cli/src/main.ts', ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], ...environment },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, err };
}

describe('millrace migrate', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createTestDatabase({ isMigrated: false });
  });

  afterEach(async () => {
    await database.drop();
  });

  const part = (change: Partial<Record<'username' | 'password' | 'pathname' | 'port', string>>): string =>
    Object.assign(new URL(database.url), change).toString();

  it('prepares the database of the option, and can be repeated with the one of the environment', async () => {
    const first = await millrace(['migrate', '--database-url', database.url]);
    const second = await millrace(['migrate', '--ahead', '12'], { DATABASE_URL: database.url });

    expect(first).toEqual({
      code: 0,
      out: `${STEPS}Schema millrace is now at version ${SCHEMA_VERSION}; 10 outbox leaves lie ahead.\n`,
      err: '',
    });
    expect(second).toEqual({
      code: 0,
      out: `Schema millrace was already at version ${SCHEMA_VERSION}; 12 outbox leaves lie ahead.\n`,
      err: '',
    });
  });

  it('prints the script and changes nothing, with and without a database', async () => {
    const pending = await millrace(['migrate', '--print', '-d', database.url]);
    const all = await millrace(['migrate', '--print']);

    expect(all).toEqual({ code: 0, out: expect.stringMatching(/^\\set ON_ERROR_STOP on\n[^]*create table/), err: '' });
    expect(pending).toEqual(all);
    expect(await millrace(['migrate', '-d', database.url])).toMatchObject({ out: expect.stringMatching(/^Applied/) });
    const repeated = await millrace(['migrate', '--print', '-d', database.url]);
    expect(repeated.out).not.toContain('create table');
  });

  it('needs a database', async () => {
    expect(await millrace(['migrate'])).toEqual({
      code: 2,
      out: '',
      err: 'error: Name the database: millrace migrate --database-url URL, or set DATABASE_URL.\n',
    });
  });

  it('refuses a database that a newer release migrated', async () => {
    await millrace(['migrate', '-d', database.url]);
    const client = await database.connect();
    await client.query(`insert into millrace.migration (version, name, checksum) values (99, 'later', 'x')`);
    await client.end();

    expect(await millrace(['migrate', '-d', database.url])).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(
        new RegExp(
          `^error: Schema millrace has version 99, this release knows ${SCHEMA_VERSION}\\. Upgrade[^\\n]*\\n$`,
        ),
      ),
    });
  });

  it.each([
    ['a URL of another kind', () => 'mysql://u:geheim@h/d', 2, /^error: The database URL must have the form/],
    [
      'a URL that cannot be parsed',
      () => 'postgres://u:ge%heim@[::zz]/d',
      2,
      /^error: The database URL cannot be parsed/,
    ],
    [
      'a port where nothing listens',
      async () => part({ port: String(await freePort()), password: 'geheim' }),
      3,
      /^error: The database server cannot be reached\. Check host, port/,
    ],
    [
      'a user that does not exist',
      () => part({ username: 'nobody', password: 'geheim' }),
      3,
      /^error: The server refused the user or password/,
    ],
    [
      'a database that does not exist',
      () => part({ pathname: '/nowhere' }),
      3,
      /^error: The database of the URL does not exist/,
    ],
  ])('explains %s in one line, without stack and password', async (_, url, code, message) => {
    const outcome = await millrace(['migrate', '--database-url', await url()]);

    expect({ ...outcome, err: '' }).toEqual({ code, out: '', err: '' });
    expect(outcome.err).toMatch(message);
    expect(outcome.err.split('\n')).toHaveLength(2);
    expect(outcome.err).not.toMatch(/ge%?heim/);
  });

  it('explains a missing right', async () => {
    const role = `poor_${database.name}`;
    const client = await database.connect();
    await client.query(`create role ${role} login password 'geheim'`);

    expect(await millrace(['migrate', '-d', part({ username: role, password: 'geheim' })])).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(/^error: The user of the database URL lacks a right\.[^\n]*\(42501\)\n$/),
    });
    await client.query(`drop role ${role}`);
    await client.end();
  });
});

describe('millrace ledger adopt', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await database.drop();
  });

  it('gives the ledger to the server it now lives on, with an audit row', async () => {
    const client = await database.connect();
    await client.query(`insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline)
      values ('order', 5, 9, 1, 'another server', 7)`);
    const early = await millrace(['ledger', 'adopt', '-d', database.url, '--route', 'order', '--reason', 'compared']);
    expect(early).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/^error: The ledger of order was written/),
    });
    await client.query('update millrace.ledger set epoch = 1::bigint << 32');
    await client.query(`insert into millrace.relay_member (source, owner, expires, config_version, stopped)
      values ('default', 'a', 'infinity', '1', '{order}')`);

    const outcome = await millrace(['ledger', 'adopt', '-d', database.url, '--route', 'order', '--reason', 'compared']);

    const ledger = await client.query<{ timeline: string }>('select timeline from millrace.ledger');
    const audit = await client.query<{ action: string; target: string; reason: string }>(
      'select action, target, reason from millrace.audit',
    );
    await client.end();
    expect(outcome).toMatchObject({ code: 0, err: '' });
    expect(ledger.rows).toEqual([{ timeline: '1' }]);
    expect(audit.rows).toEqual([{ action: 'route.adopt', target: 'order', reason: 'compared' }]);
    const again = await millrace(['ledger', 'adopt', '-d', database.url, '--route', 'order', '--reason', 'compared']);
    expect([again.code, again.out]).toEqual([0, expect.stringContaining('nothing was to do')]);
  });

  it('names an unknown route and asks for a reason', async () => {
    const unknown = await millrace(['ledger', 'adopt', '-d', database.url, '--route', 'x', '--reason', 'compared']);
    const unexplained = await millrace(['ledger', 'adopt', '-d', database.url, '--route', 'x']);
    expect([unknown.code, unexplained.code]).toEqual([1, 2]);
    expect(unknown.err).toContain('Route x has no ledger');
    expect(unexplained.err).toContain('--reason');
  });
});
