import { toEventId, toPosition } from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import { type Arrival } from './inbox-port.js';
import { storableText, storableTimeMs } from './storable.js';
import { storedKeyOf } from './stored-key.js';

/** A row of `millrace.inbox_held`. */
export interface HeldRow {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly partition: number;
  readonly record_offset: string;
  readonly source: string | null;
  readonly route: string | null;
  readonly position: string;
  readonly type: string;
  readonly timestamp_ms: string;
  readonly record_key: Buffer | null;
  readonly record_value: Buffer | null;
  readonly header_names: readonly Buffer[];
  readonly header_values: readonly Buffer[];
}

/** An arrival as the parameters of `ADD_EVENT`. */
export function heldParameters(consumer: string, arrival: Arrival): unknown[] {
  const { delivery, stream } = arrival;
  return [
    consumer,
    arrival.id,
    delivery.topic,
    storedKeyOf(arrival),
    delivery.partition,
    String(delivery.offset),
    stream === null ? null : storableText(stream.source),
    stream === null ? null : storableText(stream.route),
    String(arrival.position),
    storableText(arrival.type),
    storableTimeMs(delivery.timestampMs),
    delivery.key,
    delivery.value,
    [...delivery.headers.keys()].map((name) => Buffer.from(name)),
    [...delivery.headers.values()],
  ];
}

/** Without all that a column could refuse: its place in a stream and its time. Its bytes stay, and its key. */
export function withoutPlace(arrival: Arrival): Arrival {
  return { ...arrival, stream: null, position: toPosition(0n), delivery: { ...arrival.delivery, timestampMs: 0 } };
}

/** The arrival that was set aside. It bypasses the floor, which has passed it by now. */
export function arrivalOf(row: HeldRow): Arrival {
  const { topic, partition, source, route } = row;
  return {
    id: toEventId(row.id),
    stream: source === null || route === null ? null : { topic, partition, source, route },
    position: toPosition(row.position),
    key: row.key,
    type: row.type,
    isBypassingFloor: true,
    delivery: deliveryOf(row),
  };
}

function deliveryOf(row: HeldRow): Delivery {
  const values = row.header_values;
  return {
    topic: row.topic,
    partition: row.partition,
    offset: BigInt(row.record_offset),
    key: row.record_key,
    value: row.record_value,
    headers: new Map(row.header_names.map((name, index) => [name.toString(), values[index] ?? Buffer.alloc(0)])),
    timestampMs: Number(row.timestamp_ms),
  };
}
