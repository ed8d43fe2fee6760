import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { StartError } from '@millrace/http';
import { createDataSource, migrateTables, MIGRATION_LIMITS, openDatabase, readServiceConfig } from '@millrace/service';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';

import { paymentService } from './payment.definition.js';

describe('the database and configuration of the payment service', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await database.drop();
  });

  /** Every relation and function of the service, but for TypeORM's own list of migrations. */
  const objects = async (): Promise<string[]> => {
    const client = await database.connect();
    const { rows } = await client.query<{ name: string }>(
      `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relname !~ '^(migration|PK_)'
       union all select proname::text from pg_proc where pronamespace = 'public'::regnamespace order by 1`,
    );
    await client.end();
    return rows.map(({ name }) => name);
  };

  it('is made by its migration and taken away again without a trace', async () => {
    const config = { url: database.url, poolMax: 2 };
    expect(await migrateTables(paymentService, config)).toEqual(['Payments1763710000000']);
    const made = await objects();
    expect(made).toEqual(
      expect.arrayContaining(['account', 'account_entry', 'cancelled_order', 'idempotency_key', 'payment']),
    );
    const dataSource = createDataSource(paymentService, config, MIGRATION_LIMITS);
    await dataSource.initialize();
    await dataSource.undoLastMigration();
    await dataSource.destroy();
    expect(await objects()).toEqual([]);
    expect(await migrateTables(paymentService, config)).toEqual(['Payments1763710000000']);
    expect(await objects()).toEqual(made);
  });

  it('is refused until it is migrated, with what to run', async () => {
    const refusal: unknown = await openDatabase(paymentService, { url: database.url, poolMax: 2 }).catch(
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(StartError);
    expect(String(refusal)).toContain('node dist/apps/payment/migrate.js');
  });

  it('has port 3003 and the source name payment where nothing else is said', () => {
    const config = readServiceConfig(paymentService, { DATABASE_URL: database.url, KAFKA_BROKERS: '127.0.0.1:9' });
    expect([config.http.PORT, config.source]).toEqual([3003, 'payment']);
  });
});
