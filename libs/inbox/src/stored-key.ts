import { createHash } from 'node:crypto';
import { type Arrival } from './inbox-port.js';

/** Keys of Millrace's outbox have at most this many bytes; an index entry of PostgreSQL holds little more than twice it. */
const KEY_BYTES_MAX = 1_024;

/**
 * The key of an arrival as the database holds it: itself, or its hash where a text column or an index could not. What
 * cannot be stored could neither be claimed nor set aside, and would stop its partition.
 */
export function storedKeyOf({ key }: Arrival): string {
  if (!key.includes('\0') && Buffer.byteLength(key) <= KEY_BYTES_MAX) {
    return key;
  }
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}
