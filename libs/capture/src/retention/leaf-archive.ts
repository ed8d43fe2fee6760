import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { CaptureError } from '../capture.errors.js';
import { PgConnection } from '../pg-connection.js';
import { columnReader } from '../required-text.js';
import { DEFAULT_LEAF } from './leaf-counts.js';
import { archiveRowsSql } from './leaf-archive.sql.js';
import { type ArchiveHook, type LeafToArchive } from './retention-keeper.js';

/** Where leaves are written before they are emptied. */
export interface LeafArchiveOptions {
  readonly databaseUrl: string;
  /** It must exist: a volume that is not mounted is to be an error, not a directory on another disk. */
  readonly directory: string;
  /** Called once for each file that is complete on disk. */
  readonly archived?: (file: ArchivedLeaf) => void;
}

/** A leaf that is on disk. */
export interface ArchivedLeaf extends LeafToArchive {
  readonly path: string;
}

/** What is kept of the rows while they pass by. */
interface Reading {
  readonly hash: Hash;
  readonly found: { rows: number };
  readonly signal: AbortSignal;
}

const PAGE_ROWS = 1_000;
const PAGE_BYTES = 4 * 1024 * 1024;
const REMEMBERED_MAX = 100;
const ABANDONED_AFTER_MS = 86_400_000;
const PARTIAL = '.partial';

const column = columnReader('A statement of the archive');

/**
 * An `ArchiveHook` that writes each leaf to `<directory>/<source>/<table>.<first>-<last>.<hash>.jsonl.gz`: one JSON
 * object per row, by position, payload and headers as PostgreSQL prints them. The file gets its name after it was
 * synced to disk with exactly the rows that the leaf has; the same rows make the same name, other rows another one, so
 * nothing is ever overwritten by something else. Any number of relays may write to one directory. Rejects with
 * `CaptureError` or the error of the file system.
 */
export function archiveLeavesTo(options: LeafArchiveOptions): ArchiveHook {
  const archive = new LeafArchive(options);
  return (leaf, signal) => archive.write(leaf, signal);
}

/** Why nothing can be archived to `directory`, as a sentence for an operator; `null` when it is there. */
export async function archiveDirectoryProblem(directory: string): Promise<string | null> {
  try {
    return (await stat(directory)).isDirectory() ? null : unusable(directory, 'not a directory');
  } catch (error) {
    return unusable(directory, codeOf(error));
  }
}

function unusable(directory: string, why: unknown): string {
  return (
    `The archive directory ${directory} cannot be used (${String(why)}): it must be there, on a volume that is mounted, ` +
    'and the relay must be allowed to write to it.'
  );
}

class LeafArchive {
  /** What this process has written: a leaf that is locked comes again each minute. */
  private readonly written = new Map<string, string>();

  constructor(private readonly options: LeafArchiveOptions) {}

  async write(leaf: LeafToArchive, signal: AbortSignal): Promise<void> {
    const key = `${leaf.table} ${String(leaf.last)} ${leaf.rows}`;
    const known = this.written.get(key);
    if (known !== undefined && (await isThere(known))) {
      return;
    }
    const folder = await this.folderOf(leaf.source);
    const path = await this.writeFile(leaf, folder, signal);
    this.remember(key, path);
    this.options.archived?.({ ...leaf, path });
  }

  private async folderOf(source: string): Promise<string> {
    const { directory } = this.options;
    const folder = join(directory, source);
    const made = await mkdir(folder, { mode: 0o700 }).then(
      () => true,
      (error: unknown) => {
        if (codeOf(error) === 'EEXIST') {
          return false;
        }
        throw new Error(unusable(directory, codeOf(error)), { cause: error });
      },
    );
    if (made) {
      await syncDirectory(directory);
    }
    return folder;
  }

  private async writeFile(leaf: LeafToArchive, folder: string, signal: AbortSignal): Promise<string> {
    const { table, lo, last, rows } = leaf;
    const name = `${table.replace(/^millrace\./, '')}.${String(lo)}-${String(last)}`;
    await removeAbandoned(folder);
    const partial = join(folder, `${name}.${randomUUID()}${PARTIAL}`);
    try {
      const hash = createHash('sha256');
      const found = { rows: 0 };
      const file = createWriteStream(partial, { flags: 'wx', mode: 0o600, flush: true });
      const lines = Readable.from(this.lines(leaf, { hash, found, signal }), { objectMode: false });
      await pipeline(lines, createGzip(), file, { signal });
      if (found.rows !== rows) {
        throw new CaptureError(
          'internal',
          `${table} had ${found.rows} rows when it was archived and ${rows} when it was counted: it is tried again.`,
        );
      }
      const path = join(folder, `${name}.${hash.digest('hex').slice(0, 16)}.jsonl.gz`);
      await rename(partial, path);
      await syncDirectory(folder);
      return path;
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  /** A page at a time, each by a statement of its own. */
  private async *lines(leaf: LeafToArchive, { hash, found, signal }: Reading): AsyncGenerator<Buffer> {
    const { databaseUrl } = this.options;
    const connection = new PgConnection({ databaseUrl, applicationName: 'millrace archive', signal });
    const text = archiveRowsSql(leaf.lo === DEFAULT_LEAF);
    try {
      // positions of the default partition may lie anywhere
      let rowsMax = PAGE_ROWS;
      for (let after = leaf.lo === DEFAULT_LEAF ? 0n : leaf.lo - 1n; ;) {
        const values = [String(after), String(leaf.last), rowsMax, PAGE_BYTES];
        const page = await connection.records({ text, values });
        const final = page[page.length - 1];
        if (final === undefined) {
          return;
        }
        const bytes = Buffer.from(page.map((row) => `${column(row, 'line')}\n`).join(''));
        hash.update(bytes);
        found.rows += page.length;
        after = BigInt(column(final, 'position'));
        // the server prints all rows before it cuts them by bytes
        rowsMax = Math.min(PAGE_ROWS, Math.ceil((PAGE_BYTES * page.length) / bytes.length));
        yield bytes;
      }
    } finally {
      await connection.close();
    }
  }

  private remember(key: string, path: string): void {
    this.written.set(key, path);
    const [oldest] = this.written.keys();
    if (this.written.size > REMEMBERED_MAX && oldest !== undefined) {
      this.written.delete(oldest);
    }
  }
}

/** What a relay that was killed has left; a younger one may still be written by another relay. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const file of await readdir(folder)) {
    if (file.startsWith('outbox_') && file.endsWith(PARTIAL)) {
      const path = join(folder, file);
      const writtenMs = (await stat(path).catch(() => null))?.mtimeMs ?? Number.POSITIVE_INFINITY;
      if (Date.now() - writtenMs > ABANDONED_AFTER_MS) {
        await rm(path, { force: true });
      }
    }
  }
}

/** A new name is on disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
