import { describe, expect, it } from '@jest/globals';
import { SCHEMA_VERSION } from './migrations.js';
import { refuseOther, requireSchema } from './require-schema.js';

describe('refuseOther', () => {
  it.each([
    [0, 'schema_missing', /no schema millrace\. Run: millrace migrate --database-url/],
    [2, 'schema_too_old', /version 2, this release needs 3\. Run: millrace migrate --database-url/],
    [4, 'schema_too_new', /version 4, this release knows 3\. Upgrade this program/],
  ])('tells what to run when the database has version %p and 3 is needed', (found, code, message) => {
    const refusal = captured(() => {
      refuseOther(found, 3);
    });

    expect(refusal).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('accepts the version that is needed', () => {
    expect(() => {
      refuseOther(3, 3);
    }).not.toThrow();
  });
});

describe('requireSchema', () => {
  it('asks for the version only where the history exists', async () => {
    const asked: string[] = [];
    const query = (sql: string): Promise<{ rows: unknown[] }> => {
      asked.push(sql);
      return Promise.resolve({ rows: asked.length === 1 ? [{}] : [{ version: SCHEMA_VERSION }] });
    };

    await requireSchema(query);
    expect(asked).toHaveLength(2);

    await expect(requireSchema(() => Promise.resolve({ rows: [] }))).rejects.toMatchObject({ code: 'schema_missing' });
  });

  it('passes an error of the query through', async () => {
    const broken = new Error('connection lost');

    await expect(requireSchema(() => Promise.reject(broken))).rejects.toBe(broken);
  });

  it('refuses an answer that it cannot read', async () => {
    const query = (): Promise<{ rows: unknown[] }> => Promise.resolve({ rows: [{ version: 'one' }] });

    await expect(requireSchema(query)).rejects.toMatchObject({ code: 'internal' });
  });
});

function captured(run: () => void): unknown {
  try {
    run();
    return null;
  } catch (error) {
    return error;
  }
}
