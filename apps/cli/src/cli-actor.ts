import { userInfo } from 'node:os';

/** Whom the audit names for what is done at the command line. */
export function cliActor(): string {
  return `cli ${userInfo().username}`;
}
