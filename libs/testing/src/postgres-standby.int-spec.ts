import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { FAST_UNSAFE_SETTINGS } from './local-postgres.js';
import { PostgresStandby } from './postgres-standby.js';
import { TemporaryPostgres } from './temporary-postgres.js';

async function ask(url: string, statement: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<{ answer: unknown }>(statement)).rows.map(({ answer }) => answer);
  } finally {
    await client.end();
  }
}

const IDENTITY = `select system_identifier::text as answer from pg_control_system()`;
const TIMELINE = `select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as answer`;

describe('a standby', () => {
  let primary: TemporaryPostgres;
  let standby: PostgresStandby;

  beforeAll(async () => {
    primary = new TemporaryPostgres(FAST_UNSAFE_SETTINGS);
    await primary.start();
    await ask(primary.adminUrl, 'create table t as select 1 as n');
    standby = await PostgresStandby.of(primary, FAST_UNSAFE_SETTINGS);
  });

  afterAll(async () => {
    await standby.remove();
    await primary.remove();
  });

  it('follows the primary, lacks what comes after it was cut off, and has a timeline of its own once promoted', async () => {
    await ask(primary.adminUrl, 'insert into t values (2)');
    await standby.caughtUp(primary);
    await standby.cutOff();
    await ask(primary.adminUrl, 'insert into t values (3)');
    await standby.promote();
    await ask(standby.adminUrl, 'insert into t values (4)');

    expect(await ask(standby.adminUrl, 'select n as answer from t order by n')).toEqual([1, 2, 4]);
    expect(await ask(standby.adminUrl, IDENTITY)).toEqual(await ask(primary.adminUrl, IDENTITY));
    expect(await ask(standby.adminUrl, TIMELINE)).not.toEqual(await ask(primary.adminUrl, TIMELINE));
  });
});
