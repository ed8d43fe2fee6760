import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { StartError } from '@millrace/http';
import { createTestDatabase, freePort, type TestDatabase } from '@millrace/testing';

import { MIGRATION_LIMITS } from './connection-limits.js';
import { createDataSource } from './data-source.js';
import { migrateTables } from './migrate-tables.js';
import { readMigrationState } from './migration-state.js';
import { openDatabase } from './open-database.js';
import { teaService } from './testing/tea-service.js';

const TABLES = ['idempotency_key', 'migration', 'pot'];

async function refusalOf(work: Promise<unknown>): Promise<readonly string[]> {
  const outcome: unknown = await work.catch((error: unknown) => error);
  if (outcome instanceof StartError) {
    return outcome.problems;
  }
  throw new Error('it was not refused with a StartError', { cause: outcome });
}

describe('the database of a service', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await database.drop();
  });

  const config = (url = database.url): { url: string; poolMax: number } => ({ url, poolMax: 2 });

  const changed = (change: (url: URL) => void): string => {
    const url = new URL(database.url);
    change(url);
    return url.toString();
  };

  const tables = async (): Promise<string[]> => {
    const client = await database.connect();
    const { rows } = await client.query<{ name: string }>(
      `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
    );
    await client.end();
    return rows.map(({ name }) => name);
  };

  it('is refused until its tables are migrated, with what to run', async () => {
    expect(await refusalOf(openDatabase(teaService, config()))).toEqual([
      'The tables of the tea service are not migrated. Run: node dist/apps/tea/migrate.js',
    ]);
    expect(await tables()).toEqual([]);
    await migrateTables(teaService, config());
    const dataSource = await openDatabase(teaService, config());
    await dataSource.destroy();
  });

  it('is migrated once by two migrations at the same time, and not again', async () => {
    const applied = await Promise.all([migrateTables(teaService, config()), migrateTables(teaService, config())]);
    expect(applied.flat()).toEqual(['Pots1700000000000']);
    expect(await migrateTables(teaService, config())).toEqual([]);
    expect(await tables()).toEqual(TABLES);
  });

  it('is as before after the migrations are taken back', async () => {
    await migrateTables(teaService, config());
    const dataSource = await createDataSource(teaService, config(), MIGRATION_LIMITS).initialize();
    await dataSource.undoLastMigration({ transaction: 'each' });
    expect(await readMigrationState(dataSource)).toBe('pending');
    await dataSource.destroy();
    expect(await tables()).toEqual(['migration']);
    expect(await migrateTables(teaService, config())).toHaveLength(1);
  });

  it('is refused without schema millrace', async () => {
    const bare = await createTestDatabase({ isMigrated: false });
    expect(await refusalOf(openDatabase(teaService, config(bare.url)))).toEqual([
      expect.stringContaining('millrace migrate'),
    ]);
    await bare.drop();
  });

  it('is refused when schema millrace is newer than this release', async () => {
    const client = await database.connect();
    await client.query('update millrace.migration set version = version + 100');
    await client.end();
    expect(await refusalOf(openDatabase(teaService, config()))).toEqual([
      expect.stringContaining('Upgrade this program'),
    ]);
  });

  it('tells a wrong address, database and user apart, without the password', async () => {
    const port = await freePort();
    const wrong = [
      changed((url) => (url.port = String(port))),
      changed((url) => (url.pathname = '/nowhere')),
      changed((url) => (url.username = 'nobody_here')),
    ];
    const problems: string[] = [];
    for (const url of wrong) {
      const withPassword = url.replace('@', ':hunter2@');
      problems.push(...(await refusalOf(openDatabase(teaService, config(withPassword)))));
      problems.push(...(await refusalOf(migrateTables(teaService, config(withPassword)))));
    }
    const sentences = ['ECONNREFUSED', '3D000', '28000'].flatMap((code) => [code, code]);
    expect(problems).toEqual(sentences.map((code) => expect.stringMatching(new RegExp(`^DATABASE_URL: .*${code}`))));
    expect(problems.join('\n')).not.toMatch(/hunter2|nobody_here/);
  });
});
