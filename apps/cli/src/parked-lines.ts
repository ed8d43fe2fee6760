import { type HeldKeyView, type ParkedCode, type ParkedEvent } from '@millrace/capture';

/** Two lines for each refused event. */
export function parkedLines(events: readonly ParkedEvent[]): string {
  return events
    .map((event) => {
      const { state, id, position } = event;
      return `${state} ${id} position ${position} ${keyOf(event)}\n${refusalOf(event)}\n`;
    })
    .join('');
}

/** A line for each code and state. */
export function parkedCodeLines(codes: readonly ParkedCode[]): string {
  return codes
    .map(
      ({ state, code, events, heldAt }) =>
        `${state} ${code}: ${counted(events, 'event')}, the oldest since ${heldAt}\n`,
    )
    .join('');
}

/** Two lines for each key. */
export function heldKeyLines(keys: readonly HeldKeyView[]): string {
  return keys
    .map((key) => {
      const { state, events, bytes, first } = key;
      const chain =
        first === null ? 'no event is left' : `${counted(events, 'event')} from position ${first}, ${bytes} bytes`;
      return `${state} ${keyOf(key)}: ${chain}\n${refusalOf(key)}\n`;
    })
    .join('');
}

/** One JSON object per line; numbers of 64 bits as text. */
export function jsonLines(items: readonly object[]): string {
  return items.map((item) => `${JSON.stringify(item)}\n`).join('');
}

/** As `1 event`, `2 events`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Keys and reasons come from elsewhere: as JSON they cannot send control characters to the terminal. */
function keyOf({
  aggregateType,
  aggregateId,
}: {
  readonly aggregateType: string;
  readonly aggregateId: string;
}): string {
  return `${printable(aggregateType)} ${JSON.stringify(aggregateId)}`;
}

function refusalOf({ heldAt, attempts, nextTry, code, reason }: Omit<ParkedEvent, 'position' | 'id'>): string {
  const next = nextTry === null ? '' : `, next try ${nextTry}`;
  return `         since ${heldAt}, refused ${counted(attempts, 'time')}${next}: ${printable(code)}: ${printable(reason)}`;
}

function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
