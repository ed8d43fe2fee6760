import { type StandardSchemaV1 } from '@standard-schema/spec';
import { EventsError } from './events.errors.js';
import { type JsonOf } from './json-type.js';

/**
 * One event type: its name, its version, the aggregate it belongs to and what its payload looks like. The same object
 * is the TypeScript type, the check at publish and the check at consume. Made by `defineEvent` only.
 */
export interface EventContract<Payload = unknown, Type extends string = string> {
  readonly kind: 'event-contract';
  readonly type: Type;
  readonly schemaVersion: number;
  /** The aggregate type; part of the topic's name. */
  readonly aggregate: string;
  readonly schema: StandardSchemaV1<unknown, Payload>;
  /** Lifts a payload of version n (the property's name) to version n + 1. */
  readonly upcast: Readonly<Record<number, (payload: unknown) => unknown>>;
  /** The aggregate's id: events of one aggregate and id keep their order. */
  keyOf(payload: Payload): string;
}

/** The payload's type of a contract. */
export type PayloadOf<Contract extends EventContract> = Contract extends EventContract<infer Payload> ? Payload : never;

/**
 * The schema as it may stand in a contract. A schema that changes the type between input and output is refused: what
 * the producer wrote and what the consumer checks must be the same. So are payloads that are no JSON object.
 */
export type ContractSchema<Schema extends StandardSchemaV1> = [StandardSchemaV1.InferInput<Schema>] extends [
  StandardSchemaV1.InferOutput<Schema>,
]
  ? [StandardSchemaV1.InferOutput<Schema>] extends [StandardSchemaV1.InferInput<Schema>]
    ? ObjectSchema<Schema, StandardSchemaV1.InferOutput<Schema>>
    : SchemaRefusal<'the schema transforms: input and output types differ'>
  : SchemaRefusal<'the schema transforms: input and output types differ'>;

type ObjectSchema<Schema, Payload> = Payload extends readonly unknown[]
  ? SchemaRefusal<'the payload must be an object, not an array'>
  : Payload extends object
    ? Payload extends JsonOf<Payload>
      ? Schema
      : SchemaRefusal<'the payload has a part that JSON cannot hold'>
    : SchemaRefusal<'the payload must be an object'>;

/** Never produced: its one property tells in the compiler's message why a schema is refused. */
export interface SchemaRefusal<Reason extends string> {
  readonly refused: Reason;
}

/** What `defineEvent` takes. */
export interface EventDefinition<Type extends string, Schema extends StandardSchemaV1> {
  /** Unique name, for example `order.placed`; at most 200 characters, no blanks. */
  readonly type: Type;
  /** Counts from 1. Additive changes keep the version; any other change takes the next one and an `upcast`. */
  readonly schemaVersion: number;
  /** Letters, digits, `.`, `_` and `-`, at most 200: it becomes part of a topic's name. */
  readonly aggregate: string;
  /** The aggregate's id from the payload; 1 to 1,024 bytes. */
  readonly key: (payload: StandardSchemaV1.InferOutput<Schema>) => string;
  readonly schema: Schema & ContractSchema<Schema>;
  readonly upcast?: Readonly<Record<number, (payload: unknown) => unknown>>;
}

const AGGREGATE = /^[a-zA-Z0-9._-]{1,200}$/;
const TYPE = /^[^\s\p{C}]{1,200}$/u;

/**
 * Defines an event type. The schema may come from any library that follows Standard Schema (zod, valibot, arktype ...).
 * Throws `EventsError` `contract_invalid` when a name or version cannot be carried by every sink, so a wrong contract
 * fails when the program loads, not when it publishes.
 */
export function defineEvent<const Type extends string, Schema extends StandardSchemaV1>(
  definition: EventDefinition<Type, Schema>,
): EventContract<StandardSchemaV1.InferOutput<Schema>, Type> {
  const { type, schemaVersion, aggregate, key, schema, upcast = {} } = definition;
  if (!TYPE.test(type)) {
    throw invalid('type', 'of 1 to 200 characters without blanks or control characters');
  }
  if (!AGGREGATE.test(aggregate)) {
    throw invalid(`aggregate of event ${type}`, 'of 1 to 200 letters, digits, ".", "_" or "-", as topic names are');
  }
  if (!Number.isInteger(schemaVersion) || schemaVersion < 1) {
    throw invalid(`schemaVersion of event ${type}`, 'a whole number from 1 on');
  }
  for (const version of Object.keys(upcast).map(Number)) {
    if (!Number.isInteger(version) || version < 1 || version >= schemaVersion) {
      throw invalid(
        `upcast of event ${type}`,
        `named by versions from 1 to ${schemaVersion - 1}, each lifting to the next`,
      );
    }
  }
  return Object.freeze({ kind: 'event-contract', type, schemaVersion, aggregate, schema, upcast, keyOf: key });
}

/** True for what `defineEvent` returned, whichever copy of this package made it. */
export function isEventContract(value: unknown): value is EventContract {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'event-contract';
}

function invalid(what: string, demand: string): EventsError {
  return new EventsError('contract_invalid', `The ${what} must be ${demand}.`);
}
