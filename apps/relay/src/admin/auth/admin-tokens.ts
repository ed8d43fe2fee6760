import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Principal } from './principal.js';

/** Knows whose a token is. The token itself is never kept, only its SHA-256. */
export abstract class AdminTokens {
  /** The token's owner, or undefined for a token that nobody has. Takes the same time for every wrong token. */
  abstract principalOf(token: string): Promise<Principal | undefined>;
}

/** One token, for the first admin. */
export class SingleAdminToken extends AdminTokens {
  private readonly digest: Buffer;

  constructor(
    token: string,
    private readonly principal: Principal,
  ) {
    super();
    this.digest = digestOf(token);
  }

  override principalOf(token: string): Promise<Principal | undefined> {
    return Promise.resolve(timingSafeEqual(digestOf(token), this.digest) ? this.principal : undefined);
  }
}

/** A token that was made because none was configured, and where its owner finds it. */
export interface GeneratedToken {
  readonly token: string;
  readonly path: string;
  /** Removes the file; the token is of no use after the process has ended. */
  remove(): Promise<void>;
}

/** Makes a token of 256 random bits and writes it to a new file that only this user can read. */
export async function generateTokenFile(parent: string = tmpdir()): Promise<GeneratedToken> {
  const token = randomBytes(32).toString('base64url');
  // a fresh directory of mode 0700: nobody else can have put a link there before us
  const path = join(await mkdtemp(join(parent, 'millrace-')), 'admin-token');
  await writeFile(path, `${token}\n`, { mode: 0o600, flag: 'wx' });
  return { token, path, remove: () => rm(dirname(path), { recursive: true, force: true }) };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
