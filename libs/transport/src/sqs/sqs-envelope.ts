import { isUtf8 } from 'node:buffer';
import { HEADER } from '@millrace/events';
import { type PayloadPointer } from '../storage/payload-store.js';
import { type SinkRecord } from '../sink-port.js';
import { type Delivery } from '../subscription-port.js';
import { type SqsReceived } from './sqs-client-port.js';

/** The one attribute of a message: SQS allows ten, and an event may have more headers. */
export const ENVELOPE_ATTRIBUTE = 'millrace';

const VERSION = 1;
/** Name and type of the attribute count as well. */
const ATTRIBUTE_BYTES = Buffer.byteLength(ENVELOPE_ATTRIBUTE) + Buffer.byteLength('String');
/**
 * What a body may be made of, without the characters beyond the basic plane: SQS takes them, servers that speak its
 * protocol do not.
 */
const PLAIN = /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd]+$/;
/** An empty body is refused: this stands for an empty payload. */
const EMPTY_BODY = '-';

/** How the body stands for the payload. `claim`: it is a pointer to it. */
type BodyKind = 'text' | 'base64' | 'empty' | 'claim';

/** A text, or bytes that are none. */
type Piece = string | { readonly b64: string };

interface Envelope {
  readonly v: number;
  readonly topic: string;
  readonly key: Piece;
  readonly headers: readonly (readonly [Piece, Piece])[];
  readonly body: BodyKind;
}

/** A record in the form that SQS takes, and its size as SQS counts it. */
export interface EncodedMessage {
  readonly body: string;
  readonly envelope: string;
  readonly bytes: number;
}

/** What a message says. With a claim the payload is still to be fetched. */
export interface DecodedMessage {
  readonly delivery: Delivery;
  readonly claim: PayloadPointer | null;
}

/**
 * A record as a message: the payload as the body, as it is where SQS takes its characters and in base64 otherwise; topic,
 * key and headers as JSON in ASCII in one attribute. Every byte comes back.
 */
export function encodeMessage(topic: string, record: SinkRecord): EncodedMessage {
  const { value } = record;
  if (value.length === 0) {
    return messageOf(topic, record, 'empty', EMPTY_BODY);
  }
  const text = isUtf8(value) ? value.toString() : null;
  return text !== null && PLAIN.test(text)
    ? messageOf(topic, record, 'text', text)
    : messageOf(topic, record, 'base64', value.toString('base64'));
}

/** The same record with a pointer to its payload. */
export function encodeClaim(topic: string, record: SinkRecord, pointer: PayloadPointer): EncodedMessage {
  const { name, sha256, bytes } = pointer;
  return messageOf(topic, record, 'claim', JSON.stringify({ name, sha256, bytes }));
}

/**
 * The record of a message, on `topic` where it does not name one. A message without our attribute comes from elsewhere:
 * its body is the value, its group the key, and its attributes are the headers.
 */
export function decodeMessage(message: SqsReceived, topic: string): DecodedMessage {
  const envelope = envelopeOf(message.attributes.get(ENVELOPE_ATTRIBUTE));
  const claim = envelope?.body === 'claim' ? pointerOf(message.body) : null;
  if (envelope === null || (envelope.body === 'claim' && claim === null)) {
    return { delivery: foreignDelivery(message, topic), claim: null };
  }
  const headers = new Map(envelope.headers.map(([name, value]) => [bytesOf(name).toString(), bytesOf(value)]));
  const delivery: Delivery = {
    topic: envelope.topic,
    partition: 0,
    offset: orderOf(headers, message.sentAtMs),
    messageId: message.messageId,
    key: bytesOf(envelope.key),
    value: claim === null ? valueOf(envelope.body, message.body) : null,
    headers,
    timestampMs: message.sentAtMs,
  };
  return { delivery, claim };
}

function messageOf(topic: string, { key, headers }: SinkRecord, kind: BodyKind, body: string): EncodedMessage {
  const parts: Envelope = {
    v: VERSION,
    topic,
    key: pieceOf(key),
    headers: headers.map(([name, value]) => [pieceOf(name), pieceOf(value)] as const),
    body: kind,
  };
  const envelope = asciiJson(parts);
  return { body, envelope, bytes: Buffer.byteLength(body) + envelope.length + ATTRIBUTE_BYTES };
}

function valueOf(kind: BodyKind, body: string): Buffer {
  return kind === 'empty' ? Buffer.alloc(0) : Buffer.from(body, kind === 'base64' ? 'base64' : 'utf8');
}

function foreignDelivery(message: SqsReceived, topic: string): Delivery {
  const { messageId, body, attributes, groupId, sentAtMs } = message;
  return {
    topic,
    partition: 0,
    offset: BigInt(sentAtMs),
    messageId,
    key: groupId === null ? null : Buffer.from(groupId),
    value: Buffer.from(body),
    headers: new Map([...attributes].map(([name, value]) => [name, Buffer.from(value)])),
    timestampMs: sentAtMs,
  };
}

/** A queue has no offsets. Positions keep the order of a key's events; what has none goes by the time it was sent. */
function orderOf(headers: ReadonlyMap<string, Buffer>, sentAtMs: number): bigint {
  const position = headers.get(HEADER.position)?.toString() ?? '';
  return /^\d{1,18}$/.test(position) ? BigInt(position) : BigInt(sentAtMs);
}

function pieceOf(bytes: Buffer): Piece {
  return isUtf8(bytes) ? bytes.toString() : { b64: bytes.toString('base64') };
}

function bytesOf(piece: Piece): Buffer {
  return typeof piece === 'string' ? Buffer.from(piece) : Buffer.from(piece.b64, 'base64');
}

/** Whatever characters it has, SQS takes it. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Null for what no sink of ours has written. */
function envelopeOf(text: string | undefined): Envelope | null {
  const parsed = parsedOf(text ?? '');
  if (!isObject(parsed) || parsed['v'] !== VERSION) {
    return null;
  }
  const { topic, key, headers, body } = parsed;
  return typeof topic === 'string' && isPiece(key) && isHeaders(headers) && isBodyKind(body)
    ? { v: VERSION, topic, key, headers, body }
    : null;
}

function pointerOf(body: string): PayloadPointer | null {
  const parsed = parsedOf(body);
  if (!isObject(parsed)) {
    return null;
  }
  const { name, sha256, bytes } = parsed;
  return typeof name === 'string' && typeof sha256 === 'string' && typeof bytes === 'number'
    ? { name, sha256, bytes }
    : null;
}

function parsedOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // it is not ours then
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPiece(value: unknown): value is Piece {
  return typeof value === 'string' || (isObject(value) && typeof value['b64'] === 'string');
}

function isHeaders(value: unknown): value is Envelope['headers'] {
  return (
    Array.isArray(value) &&
    value.every((header: unknown) => Array.isArray(header) && header.length === 2 && header.every(isPiece))
  );
}

function isBodyKind(value: unknown): value is BodyKind {
  return value === 'text' || value === 'base64' || value === 'empty' || value === 'claim';
}
