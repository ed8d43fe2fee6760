import { type SetAsideEvent } from '@millrace/inbox/admin';

/** Two lines for the first event of a chain, one for each that waits behind it. */
export function setAsideLines(events: readonly SetAsideEvent[]): string {
  return events.map((event) => `${lineOf(event)}\n`).join('');
}

/** One JSON object per line; numbers of 64 bits as text. */
export function setAsideJson(events: readonly SetAsideEvent[]): string {
  return events
    .map(({ offset, position, ...event }) => ({ ...event, offset: String(offset), position: String(position) }))
    .map((event) => `${JSON.stringify(event)}\n`)
    .join('');
}

/** Keys and reasons come from elsewhere: as JSON they cannot send control characters to the terminal. */
function lineOf(event: SetAsideEvent): string {
  const { id, topic, partition, offset, key, type, status, isHead } = event;
  const place = `${id} ${printable(topic)}/${partition}@${offset} ${printable(type)} key ${JSON.stringify(key)}`;
  if (!isHead) {
    return `  waits  ${place}`;
  }
  const next = event.nextTry === null ? '' : `, next try ${event.nextTry.toISOString()}`;
  const behind = event.chainLength === 1 ? '' : `, ${event.chainLength - 1} behind it`;
  return (
    `${status} ${place}\n` +
    `         since ${event.since.toISOString()}, ${event.attempts} tries${next}${behind}: ` +
    `${printable(event.code)}: ${printable(event.reason)}`
  );
}

function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
