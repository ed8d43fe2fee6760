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
  /** In the outbox only, never on a record: the one route that publishes the row. */
  onlyRoute: 'millrace-only-route',
} as const;

const RESERVED: ReadonlySet<string> = new Set(Object.values(HEADER));

/** True for a header name that a producer may not set: Millrace's own names and all that begin with `millrace-`. */
export function isReservedHeader(name: string): boolean {
  return RESERVED.has(name) || name.startsWith('millrace-');
}
