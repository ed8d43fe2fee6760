import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOCAL } from '../setup/paths.mjs';

const FILE = join(LOCAL, 'admin-token');

/** The relay's admin token: the given one, or one that stays the same over restarts, in a file that only its owner reads. */
export function adminToken(given) {
  if (given) {
    return { token: given, shown: '$MILLRACE_ADMIN_TOKEN' };
  }
  if (!existsSync(FILE)) {
    writeFileSync(FILE, randomBytes(32).toString('hex'), { mode: 0o600 });
  }
  return { token: readFileSync(FILE, 'utf8').trim(), shown: '$(cat .local/admin-token)' };
}
