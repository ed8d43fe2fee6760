import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type PayloadPointer, type PayloadStore, PayloadStoreError } from './payload-store.js';

/** `2026-11-22/` and the hash of the content: nothing that leaves the directory. */
const NAME = /^\d{4}-\d{2}-\d{2}\/[0-9a-f]{64}$/;

/**
 * Payloads as files of one directory, which the relay and its consumers share: `<day>/<sha256>`, the day by UTC on which
 * they were put. A file is complete and synced before it has its name, and its directory before `put` resolves. A payload
 * that is put on another day is another file, so a day's folder can be removed as a whole once no message of that day is
 * left: after the queue's retention, and that of its dead-letter queue.
 */
export class DirectoryPayloadStore implements PayloadStore {
  constructor(
    private readonly directory: string,
    private readonly now: () => Date = () => new Date(),
  ) {}

  async put(payload: Buffer): Promise<PayloadPointer> {
    const sha256 = hashOf(payload);
    const name = `${this.now().toISOString().slice(0, 10)}/${sha256}`;
    try {
      await this.write(name, payload);
    } catch (cause) {
      const reason = `A payload of ${payload.length} bytes could not be stored in ${this.directory}: ${codeOf(cause)}.`;
      throw new PayloadStoreError('unavailable', `${reason} Give it room and the right to write there.`, { cause });
    }
    return { name, sha256, bytes: payload.length };
  }

  async get({ name, sha256, bytes }: PayloadPointer): Promise<Buffer> {
    if (!NAME.test(name)) {
      throw new PayloadStoreError('corrupt', 'A payload has a name that this store never gives.');
    }
    const payload = await this.read(name);
    if (payload.length !== bytes || hashOf(payload) !== sha256) {
      const reason = `The payload ${name} in ${this.directory} is not what was stored`;
      throw new PayloadStoreError('corrupt', `${reason}: it has ${payload.length} bytes of ${bytes}, or others.`);
    }
    return payload;
  }

  private async read(name: string): Promise<Buffer> {
    try {
      return await readFile(join(this.directory, name));
    } catch (cause) {
      const isMissing = codeOf(cause) === 'ENOENT';
      const reason = `The payload ${name} could not be read in ${this.directory}: ${codeOf(cause)}.`;
      throw new PayloadStoreError(
        isMissing ? 'missing' : 'unavailable',
        `${reason} The relay and its consumers must see the same directory.`,
        { cause },
      );
    }
  }

  private async write(name: string, payload: Buffer): Promise<void> {
    const path = join(this.directory, name);
    const folder = dirname(path);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const unfinished = `${path}.${randomUUID()}`;
    const file = await open(unfinished, 'wx', 0o600);
    try {
      await file.writeFile(payload);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
    await syncDirectory(folder);
    await syncDirectory(this.directory);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function hashOf(payload: Buffer): string {
  return createHash('sha256').update(payload).digest('hex');
}

/** Not instanceof: an error of the system may come from another realm. */
function codeOf(error: unknown): string {
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : 'unknown error';
}
