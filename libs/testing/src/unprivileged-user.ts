import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { LocalServerError } from './testing.errors.js';

/** The ids under which a server runs when this process is root, which PostgreSQL refuses. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** Ordinary accounts that systems come with, the best first. */
const CANDIDATES = ['postgres', 'nobody', 'daemon'];

/** The account for PostgreSQL when this process is root; undefined when it is not, and may run it as itself. */
export function unprivilegedUser(): UserIds | undefined {
  if (process.getuid?.() !== 0) {
    return undefined;
  }
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const candidate of CANDIDATES) {
    const account = accounts.find(([name]) => name === candidate);
    const uid = Number(account?.[2]);
    const gid = Number(account?.[3]);
    if (uid > 0 && gid >= 0) {
      return { uid, gid };
    }
  }
  throw new LocalServerError(
    'not_supported',
    `PostgreSQL refuses to run as root, and none of the accounts ${CANDIDATES.join(', ')} is in /etc/passwd: ` +
      'create one of them, or run this as an ordinary user.',
  );
}

/** Whether that account can reach the path; a clone under /root, for example, is out of its reach. */
export function canReach(user: UserIds, path: string): boolean {
  const answer = spawnSync('/bin/sh', ['-c', 'test -x "$1"', 'sh', path], { ...user, cwd: '/', stdio: 'ignore' });
  return answer.status === 0;
}
