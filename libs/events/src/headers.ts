/** Every header of Millrace's own, once. Values are bare text. */
export const HEADER = {
  id: 'id',
  eventType: 'eventType',
  schemaVersion: 'schemaversion',
  aggregateVersion: 'aggregateversion',
  source: 'millrace-source',
  route: 'millrace-route',
  position: 'millrace-position',
  epoch: 'millrace-epoch',
  low: 'millrace-low',
  replay: 'millrace-replay',
  unparked: 'millrace-unparked',
  /** The aggregate's id, on records whose key is another one. */
  aggregateId: 'millrace-aggregateid',
  /** On records whose value is an envelope around the payload: of which kind, `cloudevents`. */
  envelope: 'millrace-envelope',
  /** In the outbox only, never on a record: the one route that publishes the row. */
  onlyRoute: 'millrace-only-route',
} as const;

const RESERVED: ReadonlySet<string> = new Set(Object.values(HEADER));

/** True for a header name that a producer may not set: Millrace's own names and all that begin with `millrace-`. */
export function isReservedHeader(name: string): boolean {
  return RESERVED.has(name) || name.startsWith('millrace-');
}

/**
 * The route that a value of `millrace-route` belongs to: `orders` for `orders/2`, which is a shard of it. Each partition is
 * one shard's at a time, and becomes another's only after all that the first had to send there is stored: seen from a
 * partition, the shards of a route are one writer.
 */
export function routeOfHeader(value: string): string {
  return value.replace(/\/\d{1,2}$/, '');
}
