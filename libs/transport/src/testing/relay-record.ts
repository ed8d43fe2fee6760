import { type SinkHeader, type SinkRecord } from '../sink-port.js';

/** What a test says of a record as a relay makes it; the rest is usual. */
export interface RelayRecordParts {
  readonly key?: string;
  readonly value?: string;
  readonly source?: string;
  readonly route?: string;
  readonly epoch?: number | bigint;
  readonly low?: number;
  /** Further headers, such as `millrace-replay`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The record of the event at `position`; its value is the position unless it is given. */
export function relayRecord(position: number, parts: RelayRecordParts = {}): SinkRecord {
  const { key = 'k', value = String(position), source = 'shop', route = 'orders', epoch = 1, low = 0 } = parts;
  const headers = {
    'millrace-source': source,
    'millrace-route': route,
    'millrace-position': String(position),
    'millrace-epoch': String(epoch),
    'millrace-low': String(low),
    ...parts.headers,
  };
  return { key: Buffer.from(key), value: Buffer.from(value), headers: Object.entries(headers).map(headerOf) };
}

function headerOf([name, value]: [string, string]): SinkHeader {
  return [Buffer.from(name), Buffer.from(value)];
}
