import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { connectionSettings, rotated } from './client-settings.js';

const directory = mkdtempSync(join(tmpdir(), 'millrace-settings-'));
const tokenPath = join(directory, 'token');
const byFile = { brokers: ['a:1'], sasl: { mechanism: 'OAUTHBEARER', tokenPath } } as const;

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('the settings of a connection to Kafka', () => {
  it('have all brokers, in their order, beginning anywhere', () => {
    const brokers = ['a:1', 'b:1', 'c:1'];
    const orders = new Set(Array.from({ length: 200 }, () => rotated(brokers).join()));

    expect([...orders].sort()).toEqual(['a:1,b:1,c:1', 'b:1,c:1,a:1', 'c:1,a:1,b:1']);
  });

  it('read a token from its file whenever it is asked for, and wait for one that is being replaced', async () => {
    writeFileSync(tokenPath, ' first\n');
    const { sasl } = await connectionSettings(byFile);
    if (sasl?.mechanism !== 'OAUTHBEARER' || typeof sasl.token === 'string') {
      throw new Error('no token to ask for');
    }

    expect(await sasl.token()).toBe('first');
    writeFileSync(tokenPath, 'second');
    expect(await sasl.token()).toBe('second');
    rmSync(tokenPath);
    await expect(sasl.token()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(tokenPath),
    });
    await expect(connectionSettings(byFile)).rejects.toMatchObject({ code: 'configuration' });
  });
});
