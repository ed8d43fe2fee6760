/** The number of an outbox row, unique within a source; 64 bits. */
export type Position = bigint & { readonly __brand: 'Position' };
/** The identity of an event for consumers: a UUID (version 7 when Millrace made it). */
export type EventId = string & { readonly __brand: 'EventId' };
/** The fencing number of a route: `(timeline << 32) + n`; grows by at least one at each take-over. */
export type Epoch = bigint & { readonly __brand: 'Epoch' };

/** Marks a bigint that came from the position sequence. */
export function toPosition(value: bigint | number | string): Position {
  return BigInt(value) as Position;
}

/** Marks a bigint that came from a ledger row. */
export function toEpoch(value: bigint | number | string): Epoch {
  return BigInt(value) as Epoch;
}

/** Marks a text that the database guarantees to be a UUID. */
export function toEventId(value: string): EventId {
  return value as EventId;
}

/**
 * One row of `millrace.outbox` as the relay sees it. `payload` is the text that PostgreSQL prints for the jsonb
 * column and is never parsed by the relay. `headers` is the producer's own header object, each value already as
 * bare text.
 */
export interface OutboxEvent {
  readonly position: Position;
  readonly id: EventId;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly type: string;
  /** Decimal text of the aggregate's version, when the producer has one. */
  readonly aggregateVersion: string | null;
  readonly schemaVersion: number;
  readonly payload: string;
  readonly headers: Readonly<Record<string, string>> | null;
  /** Milliseconds since 1970 on the producer database's clock. */
  readonly occurredAtMs: number;
}
