import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { generateTokenFile, SingleAdminToken } from './admin-tokens.js';

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
  it('has 256 bits, stands in a file and folder that only its user can read, and goes with the process', async () => {
    const generated = await generateTokenFile();
    expect(Buffer.from(generated.token, 'base64url')).toHaveLength(32);
    expect(await readFile(generated.path, 'utf8')).toBe(`${generated.token}\n`);
    expect((await stat(generated.path)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(generated.path))).mode & 0o777).toBe(0o700);
    await generated.remove();
    expect(existsSync(dirname(generated.path))).toBe(false);
  });

  it('is another one each time', async () => {
    const [one, two] = await Promise.all([generateTokenFile(), generateTokenFile()]);
    expect(one.token).not.toBe(two.token);
    await Promise.all([one.remove(), two.remove()]);
  });
});
