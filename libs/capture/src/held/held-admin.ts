import { CaptureError } from '../capture.errors.js';
import { PgConnection, type TextColumns } from '../pg-connection.js';
import { columnReader } from '../required-text.js';
import { DISCARD_SQL, KEYS_PAGE_SQL, PARKED_CODES_SQL, PARKED_SQL, PICK_SQL, RETRY_SQL } from './held-admin.sql.js';
import { type AggregateKey } from './held-events.js';

const column = columnReader('A statement on held events');

/** `held`: tried again by itself; `parked`: waits for a person; `skipped`: left out, its key goes on. */
export type HeldState = 'held' | 'parked' | 'skipped';

/** All of them. */
export const HELD_STATES: readonly HeldState[] = ['held', 'parked', 'skipped'];

/** Where a route's events are held. */
export interface HeldPlace {
  readonly databaseUrl: string;
  /** As a whole, not one of its shards. */
  readonly route: string;
}

/** An event that was refused; without its content. 64-bit numbers are decimal text, times ISO 8601. */
export interface ParkedEvent extends AggregateKey {
  readonly position: string;
  readonly id: string;
  readonly state: HeldState;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  readonly heldAt: string;
  /** `null`: not by itself. */
  readonly nextTry: string | null;
}

/** Which refused events to list. */
export interface ParkedRequest extends HeldPlace {
  readonly state?: HeldState;
  readonly code?: string;
  /** Those above this position. */
  readonly after?: bigint;
  readonly limit: number;
}

/** The refused events of a route, by position. Throws `CaptureError`. */
export async function listParked(request: ParkedRequest): Promise<readonly ParkedEvent[]> {
  const { route, state = null, code = null, after = 0n, limit } = request;
  const rows = await ask(request, PARKED_SQL, [route, String(after), state, code, limit]);
  return rows.map((row) => ({
    ...keyOf(row),
    position: column(row, 'position'),
    id: column(row, 'id'),
    state: stateOf(row),
    code: column(row, 'code'),
    reason: column(row, 'reason'),
    attempts: Number(column(row, 'attempts')),
    heldAt: column(row, 'held_at'),
    nextTry: row['next_try'] ?? null,
  }));
}

/** Refused events of one code and state. */
export interface ParkedCode {
  readonly code: string;
  readonly state: HeldState;
  readonly events: number;
  /** Of the oldest one. */
  readonly heldAt: string;
}

/** How many events of a route were refused, by code and state. Throws `CaptureError`. */
export async function countParked(place: HeldPlace): Promise<readonly ParkedCode[]> {
  const rows = await ask(place, PARKED_CODES_SQL, [place.route]);
  return rows.map((row) => ({
    code: column(row, 'code'),
    state: stateOf(row),
    events: Number(column(row, 'events')),
    heldAt: column(row, 'held_at'),
  }));
}

/** A key of which events are held: the refused ones and those that wait behind them. */
export interface HeldKeyView extends AggregateKey {
  readonly state: HeldState;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  readonly heldAt: string;
  readonly nextTry: string | null;
  readonly events: number;
  readonly bytes: number;
  /** Position of the first one; `null`: there is none any more, the relay that runs the route is about to find that out. */
  readonly first: string | null;
}

/** The held keys of a route, by their names, after the given one. Throws `CaptureError`. */
export async function listHeldKeys(
  request: HeldPlace & { readonly after?: AggregateKey; readonly limit: number },
): Promise<readonly HeldKeyView[]> {
  const { route, after, limit } = request;
  const values = [route, after?.aggregateType ?? null, after?.aggregateId ?? null, limit];
  const rows = await ask(request, KEYS_PAGE_SQL, values);
  return rows.map((row) => ({
    ...keyOf(row),
    state: stateOf(row),
    code: column(row, 'code'),
    reason: column(row, 'reason'),
    attempts: Number(column(row, 'attempts')),
    heldAt: column(row, 'held_at'),
    nextTry: row['next_try'] ?? null,
    events: Number(column(row, 'events')),
    bytes: Number(column(row, 'bytes')),
    first: row['first'] ?? null,
  }));
}

/** Which events an action takes: those that meet every condition that is given; without one, all of the route. */
export interface HeldFilter {
  readonly ids?: readonly string[];
  readonly key?: AggregateKey;
  readonly state?: HeldState;
  readonly code?: string;
}

/** `retry`: their chains are tried now, what was left out included; `discard`: they are never sent. */
export type HeldAction = 'retry' | 'discard';

/** What a person wants done with held events. */
export interface HeldCommand extends HeldPlace {
  readonly action: HeldAction;
  readonly filter: HeldFilter;
  readonly actor: string;
  readonly reason: string | null;
  /** So many events as he was shown: with another number nothing is done. */
  readonly confirm?: number;
}

/** Events and keys that the filter meets; `done` is 0 where nothing was to be done, or the number was not confirmed. */
export interface HeldActionResult {
  readonly events: number;
  readonly keys: number;
  readonly done: number;
}

/** What `changeHeld` would take; changes nothing. Throws `CaptureError`, `route_unknown` among them. */
export async function previewHeld(place: HeldPlace, filter: HeldFilter): Promise<HeldActionResult> {
  return resultOf(place.route, await ask(place, PICK_SQL, filterValues(place.route, filter)));
}

/**
 * Does it, with an audit row, in one statement; the relay that runs the route learns of it with its next write. An event
 * that is on its way to the sink at this moment may still be published. Throws `CaptureError`, `route_unknown` among them.
 */
export async function changeHeld(command: HeldCommand): Promise<HeldActionResult> {
  const { route, action, filter, actor, reason, confirm = null } = command;
  const values = [...filterValues(route, filter), confirm, actor, reason, `held.${action}`];
  return resultOf(route, await ask(command, action === 'retry' ? RETRY_SQL : DISCARD_SQL, values));
}

function filterValues(route: string, { ids, key, state, code }: HeldFilter): unknown[] {
  return [route, ids ?? null, key?.aggregateType ?? null, key?.aggregateId ?? null, state ?? null, code ?? null];
}

function resultOf(route: string, [row = {}]: readonly TextColumns[]): HeldActionResult {
  if (row['is_known'] !== 't') {
    throw new CaptureError(
      'route_unknown',
      `Route ${route} has no ledger in this database: it has never run, or this is the name of a shard.`,
    );
  }
  const done = Number(row['done'] ?? 0);
  return { events: Number(column(row, 'events')), keys: Number(column(row, 'keys')), done };
}

function keyOf(row: TextColumns): AggregateKey {
  return { aggregateType: column(row, 'aggregatetype'), aggregateId: column(row, 'aggregateid') };
}

function stateOf(row: TextColumns): HeldState {
  const state = HELD_STATES.find((known) => known === row['state']);
  if (state === undefined) {
    throw new CaptureError(
      'schema_too_new',
      'The database has held events in a state that this release does not know.',
    );
  }
  return state;
}

async function ask(
  { databaseUrl }: HeldPlace,
  text: string,
  values: readonly unknown[],
): Promise<readonly TextColumns[]> {
  const connection = new PgConnection({ databaseUrl, applicationName: 'millrace held admin' });
  try {
    return await connection.records({ text, values });
  } finally {
    await connection.close();
  }
}
