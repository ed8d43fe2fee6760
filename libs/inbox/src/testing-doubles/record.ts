import { HEADER } from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import { v7 } from 'uuid';

/** What a spec says about a record; the rest is as a relay would have it. A header of null is left out. */
export interface RecordSketch {
  readonly topic?: string;
  readonly partition?: number;
  readonly offset?: bigint;
  readonly key?: string | Buffer | null;
  readonly value?: unknown;
  readonly headers?: Readonly<Record<string, string | null>>;
}

/** A record as a relay sends it. */
export function record(sketch: RecordSketch = {}): Delivery {
  const { topic = 'outbox.event.order', partition = 0, offset = 0n, key = 'k', value = { name: 'n' } } = sketch;
  const headers: Readonly<Record<string, string | null>> = {
    [HEADER.id]: v7(),
    [HEADER.eventType]: 'order.placed',
    [HEADER.schemaVersion]: '1',
    [HEADER.source]: 'orders',
    [HEADER.route]: 'main',
    [HEADER.position]: String(offset + 1n),
    [HEADER.epoch]: '1',
    [HEADER.low]: '0',
    ...sketch.headers,
  };
  return {
    topic,
    partition,
    offset,
    key: typeof key === 'string' ? Buffer.from(key) : key,
    value: toBytes(value),
    headers: new Map(
      Object.entries(headers).flatMap(([name, text]) => (text === null ? [] : [[name, Buffer.from(text)]])),
    ),
    timestampMs: 1_700_000_000_000,
  };
}

function toBytes(value: unknown): Buffer | null {
  if (value === null) {
    return null;
  }
  return Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
}
