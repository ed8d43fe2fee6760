import { afterAll, beforeAll, describe } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import { itConforms } from './it-conforms.js';
import { type PostgresSubject, startPostgresSubject } from './postgres-subject.js';

describe('a sink for Postgres conforms', () => {
  let database: TestDatabase;
  let subject: PostgresSubject;

  beforeAll(async () => {
    database = await createTestDatabase();
    subject = await startPostgresSubject(database.url);
  });

  afterAll(async () => {
    await subject.stop();
    await database.drop();
  });

  itConforms(() => subject, []);
});
