import { createHash, randomUUID } from 'node:crypto';
import { HEADER, routeOfHeader } from '@millrace/events';
import { type SinkRecord } from '../sink-port.js';

/** What SQS takes as a group: 1 to 128 printable characters of ASCII, no space. */
const GROUP = /^[\x21-\x7e]{1,128}$/;
/** What makes an event a publication of its own, beside its route: a replay, or being released after it was held. */
const AGAIN = [HEADER.replay, HEADER.unparked];

/** The message group of a key: the key itself, or its hash where SQS does not take it. One key is always one group. */
export function groupIdOf(key: Buffer): string {
  const text = key.toString('latin1');
  return GROUP.test(text) ? text : `sha256-${createHash('sha256').update(key).digest('hex')}`;
}

/**
 * What SQS deduplicates by for five minutes: the event's id with its route, its replay and its release. With the id alone
 * a second route into the queue, or a replay, would be accepted and never delivered. A record without an id is never
 * taken for another.
 */
export function deduplicationIdOf({ headers }: SinkRecord): string {
  const values = new Map(headers.map(([name, value]) => [name.toString(), value.toString('latin1')]));
  const id = values.get(HEADER.id);
  if (id === undefined) {
    return randomUUID();
  }
  const route = routeOfHeader(values.get(HEADER.route) ?? '');
  const parts = [id, route, ...AGAIN.map((name) => values.get(name) ?? null)];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
