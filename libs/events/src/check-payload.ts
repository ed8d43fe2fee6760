import { type StandardSchemaV1 } from '@standard-schema/spec';
import { type EventContract } from './define-event.js';
import { EventsError } from './events.errors.js';
import { describePath } from './payload-path.js';

/** Where a payload breaks its contract. Neither the value nor the schema library's message (which may quote it). */
export interface PayloadIssue {
  /** For example `payload.lines[0].quantity`; a name that the contract does not have is data and told as `*`. */
  readonly path: string;
  /** The kind of value that was found there. */
  readonly found: string;
}

/** What a check found. `payload` has exactly what the contract describes: unknown fields may be gone. */
export type PayloadCheck<Payload> =
  | { readonly kind: 'valid'; readonly payload: Payload }
  | { readonly kind: 'invalid'; readonly issues: readonly PayloadIssue[] };

/** Checks a payload of the contract's own version. Does not throw for an invalid payload. */
export async function checkPayload<Payload>(
  contract: EventContract<Payload>,
  payload: unknown,
): Promise<PayloadCheck<Payload>> {
  const result = await contract.schema['~standard'].validate(payload);
  if (result.issues === undefined) {
    return { kind: 'valid', payload: result.value };
  }
  return { kind: 'invalid', issues: result.issues.map((issue) => toPayloadIssue(contract, payload, issue)) };
}

/** `payload.a (missing), payload.lines[0].quantity (string)`: the issues as one text for an error message. */
export function describeIssues(issues: readonly PayloadIssue[]): string {
  const shown = issues.slice(0, SHOWN_ISSUES).map(({ path, found }) => `${path} (${found})`);
  const hidden = issues.length - shown.length;
  return shown.join(', ') + (hidden > 0 ? ` and ${hidden} more` : '');
}

/**
 * Lifts a payload of an older version to the contract's version, one `upcast` per version. Throws `EventsError`
 * `schema_version_unknown` when the version is newer than the contract or an `upcast` on the way is missing.
 */
export function upcastPayload(contract: EventContract, fromVersion: number, payload: unknown): unknown {
  if (!Number.isInteger(fromVersion) || fromVersion < 1 || fromVersion > contract.schemaVersion) {
    throw unknownVersion(contract, fromVersion);
  }
  let lifted = payload;
  for (let version = fromVersion; version < contract.schemaVersion; version++) {
    const lift = contract.upcast[version];
    if (lift === undefined) {
      throw unknownVersion(contract, fromVersion);
    }
    lifted = lift(lifted);
  }
  return lifted;
}

const SHOWN_ISSUES = 10;

function unknownVersion(contract: EventContract, version: number): EventsError {
  return new EventsError(
    'schema_version_unknown',
    `Event ${contract.type} came with schema version ${version}; this contract is version ${contract.schemaVersion} ` +
      `and lifts ${Object.keys(contract.upcast).join(', ') || 'no other'}. Add an upcast or upgrade this service.`,
  );
}

function toPayloadIssue(contract: EventContract, payload: unknown, issue: StandardSchemaV1.Issue): PayloadIssue {
  const names = (issue.path ?? []).map((segment) => (typeof segment === 'object' ? segment.key : segment));
  let value = payload;
  for (const name of names) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  }
  return { path: describePath(contract, names), found: kindOf(value) };
}

function kindOf(value: unknown): string {
  if (value === undefined) {
    return 'missing';
  }
  if (value === null) {
    return 'null';
  }
  return Array.isArray(value) ? 'array' : typeof value;
}
