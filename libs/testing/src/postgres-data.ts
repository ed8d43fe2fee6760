import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { LocalServerError } from './testing.errors.js';
import { type UserIds } from './unprivileged-user.js';

/** How a data directory is made. */
export interface PostgresData {
  readonly initdb: string;
  readonly dataDir: string;
  /** Who runs the server, when that is not this process's own user. */
  readonly user: UserIds | undefined;
  /** Without it a crash of the machine right after may lose the new directory. */
  readonly isSynced: boolean;
}

/** Makes the data directory, whole or not at all, unless it is there; throws when it is another user's. */
export function initialiseData(data: PostgresData): void {
  if (!existsSync(data.dataDir) || isEmpty(data.dataDir)) {
    makeData(data);
  }
  requireOwner(data.dataDir, data.user?.uid ?? process.getuid?.() ?? 0);
}

function isEmpty(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0;
  } catch {
    return false; // it cannot be looked into: another user's
  }
}

function makeData({ initdb, dataDir, user, isSynced }: PostgresData): void {
  const unfinished = `${dataDir}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true, mode: 0o700 });
  if (user !== undefined) {
    chownSync(unfinished, user.uid, user.gid);
  }
  const args = ['-D', unfinished, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-instructions'];
  args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', ...(isSynced ? [] : ['--no-sync']));
  const answer = spawnSync(initdb, args, {
    ...user,
    cwd: '/',
    encoding: 'utf8',
    // eslint-disable-next-line n/no-process-env -- a child is given the environment of its starter
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (answer.status !== 0) {
    rmSync(unfinished, { recursive: true, force: true });
    const why = answer.error?.message ?? answer.stderr;
    throw new LocalServerError('server_failed', `PostgreSQL's initdb failed in ${unfinished}: ${why}`);
  }
  renameSync(unfinished, dataDir);
}

/** Throws when a path that a server is to use is another user's: PostgreSQL would refuse it with less of a sentence. */
export function requireOwner(path: string, uid: number): void {
  const owner = statSync(path).uid;
  if (owner !== uid) {
    throw new LocalServerError(
      'not_supported',
      `${path} belongs to user ${owner}, not to user ${uid}, who is to use it: remove it, or run this as that user.`,
    );
  }
}
