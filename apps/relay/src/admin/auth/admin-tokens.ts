import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type OnApplicationShutdown } from '@nestjs/common';
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

/**
 * A token of 256 random bits in a new file that only this user can read, for a relay that was given none. The file
 * goes with the application; the token is of no use after it.
 */
export class GeneratedAdminToken extends SingleAdminToken implements OnApplicationShutdown {
  private constructor(
    token: string,
    readonly path: string,
  ) {
    super(token, { name: 'generated-admin', role: 'admin' });
  }

  /** Makes the token and its file. */
  static async create(parent: string = tmpdir()): Promise<GeneratedAdminToken> {
    const token = randomBytes(32).toString('base64url');
    // a fresh directory of mode 0700: nobody else can have put a link there before us
    const path = join(await mkdtemp(join(parent, 'millrace-')), 'admin-token');
    await writeFile(path, `${token}\n`, { mode: 0o600, flag: 'wx' });
    return new GeneratedAdminToken(token, path);
  }

  async onApplicationShutdown(): Promise<void> {
    await rm(dirname(this.path), { recursive: true, force: true });
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
