/** One write that a later read may want to see: an event, by where it will arrive. */
export interface ConsistencyMark {
  /** The source's name, as in the header `millrace-source`. */
  readonly source: string;
  readonly topic: string;
  /** The aggregate key; the record's key. */
  readonly key: string;
  /** The event's position in the source's outbox. */
  readonly position: bigint;
}

/**
 * The value of the `Consistency-Token` header: base64url of the JSON array
 * `[{ "source", "topic", "key", "position": "<decimal>" }]`. Opaque to callers, who hand it on with a read that must
 * see the write. Positions are text, as they may be above 2^53.
 */
export function encodeConsistencyToken(marks: readonly ConsistencyMark[]): string {
  const json = marks.map(({ source, topic, key, position }) => ({ source, topic, key, position: String(position) }));
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}
