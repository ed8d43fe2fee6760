import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { GeneratedAdminToken, SingleAdminToken } from './admin-tokens.js';

describe('the first admin token', () => {
  const tokens = new SingleAdminToken('a-token-of-some-length', { name: 'environment', role: 'admin' });

  it('knows its owner', async () => {
    await expect(tokens.principalOf('a-token-of-some-length')).resolves.toEqual({ name: 'environment', role: 'admin' });
  });

  it.each(['', 'a', 'a-token-of-some-lengtH', 'a-token-of-some-length ', 'x'.repeat(10_000)])(
    'does not know the token %#',
    async (token) => {
      await expect(tokens.principalOf(token)).resolves.toBeUndefined();
    },
  );
});

describe('a generated token', () => {
  it('has 256 bits, stands in a file and folder that only its user can read, and goes with the application', async () => {
    const tokens = await GeneratedAdminToken.create();
    const token = (await readFile(tokens.path, 'utf8')).trimEnd();
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect((await stat(tokens.path)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(tokens.path))).mode & 0o777).toBe(0o700);
    await expect(tokens.principalOf(token)).resolves.toEqual({ name: 'generated-admin', role: 'admin' });
    await tokens.onApplicationShutdown();
    expect(existsSync(dirname(tokens.path))).toBe(false);
  });

  it('is another one each time', async () => {
    const [one, two] = await Promise.all([GeneratedAdminToken.create(), GeneratedAdminToken.create()]);
    expect(await readFile(one.path, 'utf8')).not.toBe(await readFile(two.path, 'utf8'));
    await Promise.all([one.onApplicationShutdown(), two.onApplicationShutdown()]);
  });
});
