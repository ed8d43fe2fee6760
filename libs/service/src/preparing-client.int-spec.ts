import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { type DataSource } from 'typeorm';

import { REQUEST_LIMITS } from './connection-limits.js';
import { createDataSource } from './data-source.js';
import { PreparingClient } from './preparing-client.js';
import { teaService } from './testing/tea-service.js';

const PREPARED = 'select statement from pg_prepared_statements order by prepare_time';

describe('the connections of a service', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await createDataSource(teaService, { url: database.url, poolMax: 1 }, REQUEST_LIMITS).initialize();
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const preparedTexts = async (): Promise<string[]> =>
    (await dataSource.query<{ statement: string }[]>(PREPARED)).map(({ statement }) => statement);

  it('prepare a statement with parameters once, and give its answers', async () => {
    for (const n of [1, 2, 3]) {
      expect(await dataSource.query('select $1::integer * 2 as twice', [n])).toEqual([{ twice: n * 2 }]);
    }
    expect((await preparedTexts()).filter((text) => text.includes('twice'))).toHaveLength(1);
  });

  it('prepare nothing without parameters, which may be several statements', async () => {
    await dataSource.query('select 1 as lone; select 2 as lone');
    expect((await preparedTexts()).filter((text) => text.includes('lone'))).toEqual([]);
  });

  it('are replaced when a migration has changed what a statement returns', async () => {
    await dataSource.query('create table cup (size integer)');
    const sizes = async (): Promise<unknown> => dataSource.query('select * from cup where size > $1', [0]);
    expect(await sizes()).toEqual([]);
    await dataSource.query(`alter table cup add column colour text`);
    await expect(sizes()).rejects.toThrow('cached plan must not change result type');
    expect(await sizes()).toEqual([]);
  });

  it('name statements of the driver too, leave those that have a name, and tell errors', async () => {
    const client = new PreparingClient({ connectionString: database.url });
    await client.connect();
    await client.query({ text: 'select $1::text as driver', values: ['a'] });
    await client.query({ name: 'mine', text: 'select $1::text as own', values: ['a'] });
    const { rows } = await client.query<{ name: string }>('select name from pg_prepared_statements order by 1');
    expect(rows.map(({ name }) => name)).toEqual([expect.stringMatching(/^millrace_service_\d+$/), 'mine'].sort());
    await expect(client.query('select $1::integer / 0', [1])).rejects.toThrow('division by zero');
    await client.end();
  });
});
