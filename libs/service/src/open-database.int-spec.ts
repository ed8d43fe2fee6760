import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { StartError } from '@millrace/http';
import { createTestDatabase, freePort, type TestDatabase } from '@millrace/testing';

import { createDataSource, MIGRATION_LIMITS } from './data-source.js';
import { migrateTables } from './migrate-tables.js';
import { readMigrationState } from './migration-state.js';
import { openDatabase } from './open-database.js';

const TABLES = ['idempotency_key', 'migration', 'order_line', 'orders'];

async function refusalOf(work: Promise<unknown>): Promise<readonly string[]> {
  const outcome: unknown = await work.catch((error: unknown) => error);
  if (outcome instanceof StartError) {
    return outcome.problems;
  }
  throw new Error('it was not refused with a StartError', { cause: outcome });
}

describe('the database of the order service', () => {
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
    expect(await refusalOf(openDatabase(config()))).toEqual([
      'The tables of the order service are not migrated. Run: node dist/apps/order/migrate.js',
    ]);
    expect(await tables()).toEqual([]);
    await migrateTables(config());
    const dataSource = await openDatabase(config());
    await dataSource.destroy();
  });

  it('is migrated once by two migrations at the same time, and not again', async () => {
    const applied = await Promise.all([migrateTables(config()), migrateTables(config())]);
    expect(applied.flat()).toEqual(['Orders1763700000000']);
    expect(await migrateTables(config())).toEqual([]);
    expect(await tables()).toEqual(TABLES);
  });

  it('is as before after the migrations are taken back', async () => {
    await migrateTables(config());
    const dataSource = await createDataSource(config(), MIGRATION_LIMITS).initialize();
    await dataSource.undoLastMigration({ transaction: 'each' });
    expect(await readMigrationState(dataSource)).toBe('pending');
    await dataSource.destroy();
    expect(await tables()).toEqual(['migration']);
    expect(await migrateTables(config())).toHaveLength(1);
  });

  it('has the columns that the entities expect', async () => {
    await migrateTables(config());
    const dataSource = await createDataSource(config(), MIGRATION_LIMITS).initialize();
    const missing = await Promise.all(
      dataSource.entityMetadatas.map(async ({ target }) => await dataSource.getRepository(target).find({ take: 1 })),
    );
    expect(missing).toEqual([[], []]);
    await dataSource.destroy();
  });

  it('is refused without schema millrace', async () => {
    const bare = await createTestDatabase({ isMigrated: false });
    expect(await refusalOf(openDatabase(config(bare.url)))).toEqual([expect.stringContaining('millrace migrate')]);
    await bare.drop();
  });

  it('is refused when schema millrace is newer than this release', async () => {
    const client = await database.connect();
    await client.query('update millrace.migration set version = version + 100');
    await client.end();
    expect(await refusalOf(openDatabase(config()))).toEqual([expect.stringContaining('Upgrade this program')]);
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
      problems.push(...(await refusalOf(openDatabase(config(withPassword)))));
      problems.push(...(await refusalOf(migrateTables(config(withPassword)))));
    }
    const sentences = ['ECONNREFUSED', '3D000', '28000'].flatMap((code) => [code, code]);
    expect(problems).toEqual(sentences.map((code) => expect.stringMatching(new RegExp(`^DATABASE_URL: .*${code}`))));
    expect(problems.join('\n')).not.toMatch(/hunter2|nobody_here/);
  });
});
