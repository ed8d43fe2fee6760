import { randomBytes } from 'node:crypto';

/**
 * A name that no other test of this or another run uses: `prefix_` and 10 random characters of a-z and 0-9. Valid as
 * the name of a database, a topic, a consumer group, a replication slot and a route, if the prefix is.
 */
export function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(8).readBigUInt64BE().toString(36).padStart(13, '0').slice(-10)}`;
}
