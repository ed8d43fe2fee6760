import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RecordWriter, type RecordWriterOptions, type RelayedEvent } from '../../harness/record-writer.js';

const KEYS = 1_000;
const PAGE_EVENTS = 2_000;
const TICK_MS = 2;

/** The key whose handler is slow where a run wants that. */
export const SLOW_KEY = 'order-0';

/** Orders in turn, 1,000 keys. */
export function benchEvent(number: number): RelayedEvent {
  const key = `order-${number % KEYS}`;
  const payload = {
    orderId: key,
    customerId: `customer-${number % 997}`,
    totalCents: number,
    note: 'x'.repeat(130),
    lines: [{ sku: `sku-${number % 500}`, quantity: 1 + (number % 9), unitPriceCents: number % 5_000 }],
  };
  return {
    id: randomUUID(),
    position: number + 1,
    type: 'order.placed',
    key,
    version: Math.floor(number / KEYS) + 1,
    payload: JSON.stringify(payload),
  };
}

/** Fills a topic as a relay that drains a backlog does. */
export async function fillTopic(options: RecordWriterOptions, events: number): Promise<void> {
  const writer = await RecordWriter.open(options);
  try {
    for (let first = 0; first < events; first += PAGE_EVENTS) {
      const page = Array.from({ length: Math.min(PAGE_EVENTS, events - first) }, (_, index) =>
        benchEvent(first + index),
      );
      await writer.send(page, first);
    }
  } finally {
    await writer.close();
  }
}

/** Sends events at a fixed rate for some time; returns how many. */
export async function sendAtRate(options: RecordWriterOptions, perSecond: number, seconds: number): Promise<number> {
  const writer = await RecordWriter.open(options);
  const startedMs = performance.now();
  const total = perSecond * seconds;
  let sent = 0;
  try {
    while (sent < total) {
      const due = Math.min(total, Math.floor(((performance.now() - startedMs) / 1_000) * perSecond));
      if (due > sent) {
        const first = sent;
        const page = Array.from({ length: due - first }, (_, index) => benchEvent(first + index));
        await writer.send(page, first);
        sent = due;
      }
      await sleep(TICK_MS);
    }
    return sent;
  } finally {
    await writer.close();
  }
}
