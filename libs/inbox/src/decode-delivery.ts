import {
  checkPayload,
  describeIssues,
  type EventContract,
  type EventId,
  HEADER,
  isReservedHeader,
  type Position,
  routeOfHeader,
  toEventId,
  toPosition,
  upcastPayload,
} from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import { v5 } from 'uuid';
import { type Arrival, type Stream } from './inbox-port.js';
import { InboxError } from './inbox.errors.js';
import { type ReceivedEvent } from './received-event.js';

/** What a record says about the floor of its stream: everything at or below `low` was published before it. */
export interface LowMark {
  readonly stream: Stream;
  /** The record's own. */
  readonly position: Position;
  readonly low: Position;
}

/**
 * `refused`: the record claims that it was published before itself, which no relay says of a first copy. Believed, it
 * would make duplicates of events that nobody has seen.
 */
export type Mark = LowMark | 'refused' | null;

/**
 * What a record is to this consumer. `unhandled`: an event of a type without a handler here. `malformed`: no event, or
 * one of a handled type whose envelope is broken; `arrival` then has an id of its own making.
 */
export type Decoded =
  | { readonly kind: 'event'; readonly arrival: Arrival; readonly mark: Mark }
  | { readonly kind: 'unhandled'; readonly type: string; readonly mark: Mark }
  | { readonly kind: 'malformed'; readonly arrival: Arrival; readonly reason: string };

const KEY_BYTES_MAX = 1_024;
const NAME_CHARS_MAX = 255;
const BIGINT_MAX = 9_223_372_036_854_775_807n;
/** What PostgreSQL takes for one, whatever its version: producers in SQL make theirs with md5. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const WHOLE_NUMBER = /^\d{1,19}$/;
const VERSION = /^[1-9]\d{0,8}$/;
const PLACE_NAMESPACE = '6ed9b43b-6f5b-4f9e-8f3e-0c9a2a3c8d11';

/** Reads the envelope of a record; its payload is left for `decodeEvent`. Never throws. */
export function decodeDelivery(delivery: Delivery, isHandled: (type: string) => boolean): Decoded {
  const type = textOf(delivery, HEADER.eventType);
  if (type === null || type === '') {
    return malformed(delivery, '', 'the header eventType is missing: this is no record of Millrace');
  }
  if (!isHandled(type)) {
    return { kind: 'unhandled', type, mark: markOf(delivery, () => streamPlaceOf(delivery)) };
  }
  try {
    const arrival = arrivalOf(delivery, type);
    return { kind: 'event', arrival, mark: markOf(delivery, () => arrival) };
  } catch (error) {
    if (error instanceof InboxError) {
      return malformed(delivery, type, error.message);
    }
    throw error;
  }
}

/**
 * The event that a handler is given. Throws `InboxError` `record_malformed` when the payload is no JSON or breaks the
 * contract, `EventsError` `schema_version_unknown` when its version is newer than the contract's.
 */
export async function decodeEvent(arrival: Arrival, contract: EventContract): Promise<ReceivedEvent> {
  const { delivery } = arrival;
  const schemaVersion = schemaVersionOf(delivery);
  const lifted = upcastPayload(contract, schemaVersion, payloadOf(delivery));
  const check = await checkPayload(contract, lifted);
  if (check.kind === 'invalid') {
    throw broken(`it breaks its contract at ${describeIssues(check.issues)}`);
  }
  return {
    id: arrival.id,
    type: contract.type,
    schemaVersion,
    aggregateId: textOf(delivery, HEADER.aggregateId) ?? arrival.key,
    aggregateVersion: numberTextOf(delivery, HEADER.aggregateVersion),
    source: arrival.stream?.source ?? '',
    position: arrival.position,
    sentAtMs: delivery.timestampMs,
    headers: producerHeadersOf(delivery),
    payload: check.payload,
    isReplay: delivery.headers.has(HEADER.replay),
  };
}

function arrivalOf(delivery: Delivery, type: string): Arrival {
  const id = textOf(delivery, HEADER.id);
  if (id === null || !UUID.test(id)) {
    throw broken(`the header ${HEADER.id} is ${id === null ? 'missing' : 'no UUID'}`);
  }
  // read here as well, so that a record with a broken envelope never opens a transaction
  schemaVersionOf(delivery);
  numberTextOf(delivery, HEADER.aggregateVersion);
  return {
    id: toEventId(id.toLowerCase()),
    ...streamPlaceOf(delivery),
    key: keyOf(delivery),
    type,
    isBypassingFloor: isSentAgain(delivery),
    delivery,
  };
}

/** Published on purpose after its turn. */
function isSentAgain({ headers }: Delivery): boolean {
  return headers.has(HEADER.replay) || headers.has(HEADER.unparked);
}

function streamPlaceOf(delivery: Delivery): Pick<Arrival, 'stream' | 'position'> {
  const stream = streamOf(delivery);
  return { stream, position: stream === null ? toPosition(0n) : ownPositionOf(delivery) };
}

/** Null when the record has none of the three headers that a relay sets: it came from elsewhere. */
function streamOf(delivery: Delivery): Stream | null {
  const source = nameOf(delivery, HEADER.source);
  const route = nameOf(delivery, HEADER.route);
  if (source === null && route === null && !delivery.headers.has(HEADER.position)) {
    return null;
  }
  if (source === null || route === null) {
    throw broken(`the header ${source === null ? HEADER.source : HEADER.route} is missing beside the others`);
  }
  return { topic: delivery.topic, partition: delivery.partition, source, route: routeOfHeader(route) };
}

/** Without a usable mark the floor waits for the next record. */
function markOf(delivery: Delivery, readPlace: () => Pick<Arrival, 'stream' | 'position'>): Mark {
  if (!delivery.headers.has(HEADER.low)) {
    return null;
  }
  try {
    const { stream, position } = readPlace();
    const low = positionOf(delivery, HEADER.low);
    if (stream === null) {
      return null;
    }
    return low < position || isSentAgain(delivery) ? { stream, position, low } : 'refused';
  } catch {
    return null;
  }
}

function malformed(delivery: Delivery, type: string, reason: string): Decoded {
  const arrival: Arrival = {
    id: idOfPlace(delivery),
    stream: null,
    position: toPosition(0n),
    key: keyOfPlace(delivery, type),
    type,
    isBypassingFloor: false,
    delivery,
  };
  return { kind: 'malformed', arrival, reason };
}

/** A broken event of a handled type holds back the later ones of its key; what is no event at all stands alone. */
function keyOfPlace(delivery: Delivery, type: string): string {
  const key = type === '' ? null : usableKey(delivery.key);
  return key ?? `#${placeOf(delivery)}`;
}

function idOfPlace(delivery: Delivery): EventId {
  return toEventId(v5(`${delivery.topic}/${placeOf(delivery)}`, PLACE_NAMESPACE));
}

function placeOf({ messageId, partition, offset }: Delivery): string {
  return messageId ?? `${partition}/${offset}`;
}

function keyOf(delivery: Delivery): string {
  const key = usableKey(delivery.key);
  if (key === null) {
    throw broken(`its key must be text of 1 to ${KEY_BYTES_MAX} bytes`);
  }
  return key;
}

/** PostgreSQL stores no NUL in a text. */
function usableKey(key: Buffer | null): string | null {
  return key === null || key.length === 0 || key.length > KEY_BYTES_MAX || key.includes(0) ? null : key.toString();
}

function schemaVersionOf(delivery: Delivery): number {
  const text = textOf(delivery, HEADER.schemaVersion);
  if (text !== null && !VERSION.test(text)) {
    throw broken(`the header ${HEADER.schemaVersion} is no whole number from 1 on`);
  }
  return text === null ? 1 : Number(text);
}

/** Positions count from 1: at 0 every floor would make a duplicate of the event. */
function ownPositionOf(delivery: Delivery): Position {
  const position = positionOf(delivery, HEADER.position);
  if (position === 0n) {
    throw broken(`the header ${HEADER.position} is no whole number from 1 on`);
  }
  return position;
}

function positionOf(delivery: Delivery, name: string): Position {
  const text = numberTextOf(delivery, name);
  if (text === null) {
    throw broken(`the header ${name} is missing`);
  }
  return toPosition(text);
}

function numberTextOf(delivery: Delivery, name: string): string | null {
  const text = textOf(delivery, name);
  if (text !== null && (!WHOLE_NUMBER.test(text) || BigInt(text) > BIGINT_MAX)) {
    throw broken(`the header ${name} is no whole number of 64 bits`);
  }
  return text;
}

function nameOf(delivery: Delivery, name: string): string | null {
  const text = textOf(delivery, name);
  if (text !== null && (text === '' || text.length > NAME_CHARS_MAX || text.includes('\0'))) {
    throw broken(`the header ${name} must be text of 1 to ${NAME_CHARS_MAX} characters`);
  }
  return text;
}

/** The payload, taken out of its envelope where the relay's route puts one around it. */
function payloadOf(delivery: Delivery): unknown {
  const value = parseValue(delivery);
  const envelope = textOf(delivery, HEADER.envelope);
  if (envelope === null) {
    return value;
  }
  if (envelope !== 'cloudevents') {
    throw broken(`the header ${HEADER.envelope} names a kind of envelope that this release does not know`);
  }
  if (typeof value !== 'object' || value === null || !('data' in value)) {
    throw broken('its CloudEvents envelope has no data');
  }
  return value.data;
}

function parseValue({ value }: Delivery): unknown {
  if (value === null) {
    throw broken('it has no payload');
  }
  try {
    return JSON.parse(value.toString());
  } catch {
    // the parser's message quotes the payload, so it is no cause either
    throw broken('its payload is no JSON');
  }
}

function producerHeadersOf({ headers }: Delivery): Readonly<Record<string, string>> {
  const own: [string, string][] = [];
  for (const [name, value] of headers) {
    if (!isReservedHeader(name)) {
      own.push([name, value.toString()]);
    }
  }
  return Object.fromEntries(own);
}

function textOf({ headers }: Delivery, name: string): string | null {
  return headers.get(name)?.toString() ?? null;
}

function broken(reason: string): InboxError {
  return new InboxError('record_malformed', reason);
}
