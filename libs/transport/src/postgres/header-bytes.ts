import { type SinkHeader } from '../sink-port.js';

const LENGTH_BYTES = 4;

/** Headers as one value of bytes: each name and value in turn, its length before it in four bytes, big-endian. */
export function encodeHeaders(headers: readonly SinkHeader[]): Buffer {
  const parts: Buffer[] = [];
  for (const header of headers) {
    for (const part of header) {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32BE(part.length);
      parts.push(length, part);
    }
  }
  return Buffer.concat(parts);
}

/** By name; of a name that came more than once, the last value. Throws a plain `Error` for what was not made so. */
export function decodeHeaders(bytes: Buffer): ReadonlyMap<string, Buffer> {
  const headers = new Map<string, Buffer>();
  let at = 0;
  const next = (): Buffer => {
    const begin = at + LENGTH_BYTES;
    const end = begin <= bytes.length ? begin + bytes.readUInt32BE(at) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) {
      throw new Error(
        'The headers of a record in millrace.delivery are cut off: nobody but the relay may write there.',
      );
    }
    at = end;
    return bytes.subarray(begin, end);
  };
  while (at < bytes.length) {
    const name = next().toString();
    headers.set(name, next());
  }
  return headers;
}
