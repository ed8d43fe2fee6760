import {
  checkPayload,
  describeIssues,
  describePath,
  type EventContract,
  type EventId,
  isReservedHeader,
  toEventId,
} from '@millrace/events';
import { v7, validate } from 'uuid';
import { type JsonbRefusal, type JsonbText, refuseText, toJsonbText } from './jsonb-text.js';
import { OutboxError } from './outbox.errors.js';

/** What a caller may say about the events of one `publish`. */
export interface PublishOptions {
  /** Sent as record headers: `traceparent`, tenant, correlation id ... Millrace's own names are refused. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The aggregate's version after this change; the same for every payload of the call. Turns `serialize` off. */
  readonly aggregateVersion?: bigint | number;
  /** The event's identity, a UUID; for one payload only. By default a new UUIDv7. */
  readonly id?: string;
  /** Lock the key until the transaction ends, so that order per key is commit order. Default: without a version. */
  readonly serialize?: boolean;
}

/** One row to write, checked and in the form that the database takes. */
export interface EventRow {
  readonly id: EventId;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly type: string;
  readonly aggregateVersion: string | null;
  readonly schemaVersion: number;
  readonly payload: string;
  readonly headers: string | null;
  readonly isSerialized: boolean;
  /** Bytes of key, payload and headers on a record. */
  readonly bytes: number;
}

const KEY_BYTES_MAX = 1_024;
/** Lengths of a header on a Kafka record, at their largest: the relay's sink counts the same. */
const HEADER_OVERHEAD_BYTES = 10;
const HEADER_NAME = /^[^\s\p{C}]{1,200}$/u;
const VERSION_MAX = 9_223_372_036_854_775_807n;

/** Checks payloads against contract, JSON and size, and makes their rows. Throws `OutboxError`; writes nothing. */
export async function prepareRows(
  contract: EventContract,
  payloads: readonly unknown[],
  options: PublishOptions,
  maxEventBytes: number,
): Promise<readonly EventRow[]> {
  const headers = toHeaders(contract, options.headers);
  const aggregateVersion = toVersion(contract, options.aggregateVersion);
  refuseId(contract, options.id, payloads.length);
  const rows: EventRow[] = [];
  const headersBytes = recordBytesOf(options.headers ?? {});
  for (const payload of payloads) {
    const checked = await checkContract(contract, payload);
    const json = toPayloadText(contract, checked);
    const aggregateId = toKey(contract, checked);
    const bytes = Buffer.byteLength(aggregateId) + json.printedBytes + headersBytes;
    refuseSize(contract, bytes, maxEventBytes);
    rows.push({
      id: toEventId(options.id?.toLowerCase() ?? v7()),
      aggregateType: contract.aggregate,
      aggregateId,
      type: contract.type,
      aggregateVersion,
      schemaVersion: contract.schemaVersion,
      payload: json.text,
      headers: headers?.text ?? null,
      isSerialized: options.serialize ?? aggregateVersion === null,
      bytes,
    });
  }
  return rows;
}

async function checkContract(contract: EventContract, payload: unknown): Promise<unknown> {
  const check = await checkPayload(contract, payload);
  if (check.kind === 'invalid') {
    throw new OutboxError(
      'payload_invalid',
      `Event ${contract.type} breaks its contract at ${describeIssues(check.issues)}. Correct the payload.`,
    );
  }
  return check.payload;
}

function toPayloadText(contract: EventContract, payload: unknown): JsonbText {
  const json = toJsonbText(payload);
  if ('reason' in json) {
    throw jsonError(contract, 'payload_not_json', describePath(contract, json.path), json);
  }
  return json;
}

function jsonError(
  contract: EventContract,
  code: 'payload_not_json' | 'header_invalid',
  path: string,
  { reason }: JsonbRefusal,
): OutboxError {
  return new OutboxError(code, `Event ${contract.type}: ${path} ${reason}.`);
}

function toKey(contract: EventContract, payload: unknown): string {
  const key: unknown = contract.keyOf(payload);
  if (typeof key !== 'string' || key === '' || Buffer.byteLength(key) > KEY_BYTES_MAX) {
    throw new OutboxError(
      'key_invalid',
      `Event ${contract.type}: the key must be text of 1 to ${KEY_BYTES_MAX} bytes. Check the contract's key function.`,
    );
  }
  const refusal = refuseText(key);
  if (refusal !== null) {
    throw new OutboxError('key_invalid', `Event ${contract.type}: the key ${refusal}.`);
  }
  return key;
}

function toHeaders(contract: EventContract, headers: PublishOptions['headers']): JsonbText | null {
  if (headers === undefined || Object.keys(headers).length === 0) {
    return null;
  }
  for (const [name, value] of Object.entries<unknown>(headers)) {
    if (isReservedHeader(name)) {
      throw headerError(contract, `the header ${name} is set by Millrace: leave it out`);
    }
    if (!HEADER_NAME.test(name)) {
      throw headerError(contract, 'a header name must have 1 to 200 characters without blanks or control characters');
    }
    if (typeof value !== 'string') {
      throw headerError(contract, `the header ${name} is a ${typeof value}: give text`);
    }
  }
  const json = toJsonbText(headers);
  if ('reason' in json) {
    throw jsonError(contract, 'header_invalid', ['headers', ...json.path].join('.'), json);
  }
  return json;
}

function recordBytesOf(headers: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + HEADER_OVERHEAD_BYTES;
  }
  return bytes;
}

function headerError(contract: EventContract, reason: string): OutboxError {
  return new OutboxError('header_invalid', `Event ${contract.type}: ${reason}.`);
}

function toVersion(contract: EventContract, version: bigint | number | undefined): string | null {
  if (version === undefined) {
    return null;
  }
  const isWhole = typeof version === 'bigint' || Number.isSafeInteger(version);
  if (!isWhole || version < 0 || version > VERSION_MAX) {
    throw new OutboxError(
      'option_invalid',
      `Event ${contract.type}: aggregateVersion must be a whole number from 0 on (a bigint beyond 2^53).`,
    );
  }
  return String(version);
}

function refuseId(contract: EventContract, id: string | undefined, count: number): void {
  if (id === undefined) {
    return;
  }
  if (count !== 1) {
    throw new OutboxError(
      'option_invalid',
      `Event ${contract.type}: the option id fits one payload, not ${count}: publish them one by one.`,
    );
  }
  if (!validate(id)) {
    throw new OutboxError('option_invalid', `Event ${contract.type}: the option id must be a UUID.`);
  }
}

function refuseSize(contract: EventContract, bytes: number, maxEventBytes: number): void {
  if (bytes > maxEventBytes) {
    throw new OutboxError(
      'event_too_large',
      `Event ${contract.type} has ${bytes} bytes (key, payload as PostgreSQL prints it, headers); the limit is ` +
        `${maxEventBytes}. Store the bulk elsewhere and publish a reference to it, or raise maxEventBytes together ` +
        "with the sink's record limit.",
    );
  }
}
