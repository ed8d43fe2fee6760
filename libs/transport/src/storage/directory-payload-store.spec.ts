import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DirectoryPayloadStore } from './directory-payload-store.js';

describe('a directory of payloads', () => {
  let directory: string;
  let store: DirectoryPayloadStore;
  let day = '2026-11-22';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-payloads-'));
    day = '2026-11-22';
    store = new DirectoryPayloadStore(directory, () => new Date(`${day}T23:59:59Z`));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('gives back what was put, once per day and content', async () => {
    const pointer = await store.put(Buffer.from('payload'));
    await store.put(Buffer.from('payload'));
    day = '2026-11-23';
    const next = await store.put(Buffer.from('payload'));
    expect(String(await store.get(pointer))).toBe('payload');
    expect(String(await store.get(next))).toBe('payload');
    expect(readdirSync(directory)).toEqual(['2026-11-22', '2026-11-23']);
    expect(readdirSync(join(directory, '2026-11-22'))).toEqual([pointer.sha256]);
  });

  it('says what is missing, and what is not what was put', async () => {
    const pointer = await store.put(Buffer.from('payload'));
    writeFileSync(join(directory, pointer.name), 'PAYLOAD');
    await expect(store.get(pointer)).rejects.toMatchObject({ code: 'corrupt' });
    rmSync(join(directory, pointer.name));
    await expect(store.get(pointer)).rejects.toMatchObject({ code: 'missing' });
  });

  it('reads no file outside of itself', async () => {
    const pointer = await store.put(Buffer.from('payload'));
    await expect(store.get({ ...pointer, name: '../../etc/passwd' })).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('says why it cannot take a payload', async () => {
    writeFileSync(join(directory, day), 'a file where the folder should be');
    await expect(store.put(Buffer.from('payload'))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('EEXIST') as unknown,
    });
  });
});
