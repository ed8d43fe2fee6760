import { HEADER, routeOfHeader } from '@millrace/events';
import { type SinkHeader, type SinkRecord } from '../sink-port.js';
import { SinkError } from '../transport.errors.js';
import { encodeHeaders } from './header-bytes.js';

/** Which route a batch is of, and how far that one was when it was sent; `null`: of none. */
export interface BatchStream {
  readonly source: string;
  /** The whole route, also where a shard sends. */
  readonly route: string;
  readonly epoch: string;
  readonly low: string;
}

/** A batch as `millrace.deliver` takes it. */
export interface StampedBatch {
  readonly stream: BatchStream | null;
  readonly positions: readonly string[];
  readonly kinds: readonly number[];
  /** Where in `bytes` each record's key, value and headers begin, and at last the end, counted from 1. */
  readonly starts: readonly number[];
  readonly bytes: Buffer;
}

/** As `millrace.deliver` knows them. */
const AS_OFTEN_AS_IT_COMES = 0;
const ONCE = 1;
const ONCE_BEHIND_THE_FLOOR = 2;

const NAMES = {
  source: Buffer.from(HEADER.source),
  route: Buffer.from(HEADER.route),
  epoch: Buffer.from(HEADER.epoch),
  low: Buffer.from(HEADER.low),
  position: Buffer.from(HEADER.position),
  replay: Buffer.from(HEADER.replay),
  unparked: Buffer.from(HEADER.unparked),
} as const;

interface Stamp {
  readonly stream: BatchStream | null;
  readonly position: string;
  readonly kind: number;
}

/**
 * Reads from the headers of the relay which events these are, and packs them. Throws `SinkError` `record_invalid` for a
 * batch of more than one route or epoch: a lane of a route never makes one.
 */
export function stampedBatch(laneId: string, records: readonly SinkRecord[]): StampedBatch {
  const stamps = records.map(({ headers }) => stampOf(headers));
  return {
    stream: streamOf(laneId, stamps),
    positions: stamps.map(({ position }) => position),
    kinds: stamps.map(({ kind }) => kind),
    ...packed(records),
  };
}

function stampOf(headers: readonly SinkHeader[]): Stamp {
  const text = (name: Buffer): string => headers.find((header) => header[0].equals(name))?.[1].toString() ?? '';
  const has = (name: Buffer): boolean => headers.some((header) => header[0].equals(name));
  const [source, position, epoch, low] = [text(NAMES.source), text(NAMES.position), text(NAMES.epoch), text(NAMES.low)];
  if (source === '' || !isNumber(position) || !isNumber(epoch)) {
    return { stream: null, position: '0', kind: AS_OFTEN_AS_IT_COMES };
  }
  const route = routeOfHeader(text(NAMES.route));
  const stream = { source, route, epoch, low: isNumber(low) ? low : '0' };
  if (has(NAMES.replay)) {
    return { stream, position, kind: AS_OFTEN_AS_IT_COMES };
  }
  return { stream, position, kind: has(NAMES.unparked) ? ONCE_BEHIND_THE_FLOOR : ONCE };
}

/** That a bigint of the database holds. */
function isNumber(text: string): boolean {
  return /^\d{1,19}$/.test(text) && BigInt(text) < 2n ** 63n;
}

function streamOf(laneId: string, stamps: readonly Stamp[]): BatchStream | null {
  const first = stamps[0]?.stream ?? null;
  let low = first === null ? 0n : BigInt(first.low);
  for (const { stream } of stamps) {
    if (!isSame(first, stream)) {
      throw new SinkError(
        'record_invalid',
        `A batch for ${laneId} has records of more than one route or epoch: send those of each by themselves.`,
      );
    }
    const other = BigInt(stream?.low ?? 0);
    low = other > low ? other : low;
  }
  return first === null ? null : { ...first, low: String(low) };
}

function isSame(a: BatchStream | null, b: BatchStream | null): boolean {
  return a?.source === b?.source && a?.route === b?.route && a?.epoch === b?.epoch;
}

function packed(records: readonly SinkRecord[]): Pick<StampedBatch, 'starts' | 'bytes'> {
  const parts: Buffer[] = [];
  const starts: number[] = [];
  let at = 1;
  for (const { key, value, headers } of records) {
    for (const part of [key, value, encodeHeaders(headers)]) {
      starts.push(at);
      parts.push(part);
      at += part.length;
    }
  }
  starts.push(at);
  return { starts, bytes: Buffer.concat(parts) };
}
