import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RecordWriter, type RecordWriterOptions, type RelayedEvent } from '../../harness/record-writer.js';

const KEYS = 1_000;
const PAGE_EVENTS = 2_000;
const TICK_MS = 2;

/** The key whose handler is slow where a run wants that, and what its events then say. */
export const SLOW_KEY = 'order-0';
export const SLOW_NOTE = 'slow';

/** What a handler of the bench does, into the table of `ConsumerRun`. */
export const INSERT_PLACED_SQL = 'insert into placed (id, order_id, total_cents, sent_at_ms) values ($1, $2, $3, $4)';

/** Orders in turn, 1,000 keys. */
export function benchEvent(number: number, isOneSlow = false): RelayedEvent {
  const key = `order-${number % KEYS}`;
  const payload = {
    orderId: key,
    customerId: `customer-${number % 997}`,
    totalCents: number,
    note: isOneSlow && key === SLOW_KEY ? SLOW_NOTE : 'x'.repeat(130),
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

/** What is sent at a fixed rate. */
export interface SteadyLoad {
  /** The number of the first event. */
  readonly first: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly isOneSlow: boolean;
}

/** Sends events at a fixed rate for some time; returns the number after the last. */
export async function sendAtRate(writer: RecordWriter, load: SteadyLoad): Promise<number> {
  const startedMs = performance.now();
  const total = load.perSecond * load.seconds;
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startedMs) / 1_000) * load.perSecond));
    if (due > sent) {
      const from = load.first + sent;
      const page = Array.from({ length: due - sent }, (_, index) => benchEvent(from + index, load.isOneSlow));
      await writer.send(page, from);
      sent = due;
    }
    await sleep(TICK_MS);
  }
  return load.first + total;
}
