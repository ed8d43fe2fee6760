import { type EventId, toEventId } from '@millrace/events';
import type pg from 'pg';
import { type AdminTarget, inAdminTransaction, withAdminClient } from './admin-connection.js';
import {
  AUDIT,
  CHOOSE_EVENTS,
  CONSUMERS,
  LIST,
  LOCK_CHOSEN,
  MAKE_DUE,
  REMOVE_EMPTY_KEYS,
  REMOVE_EVENTS,
  THAW,
} from './inbox-admin.sql.js';
import { InboxError } from './inbox.errors.js';

/** Which chains of set-aside events are meant; what is left out means any. */
export interface SetAsideFilter {
  readonly topic?: string | undefined;
  readonly key?: string | undefined;
  /** The chain that holds this event. */
  readonly id?: string | undefined;
  readonly code?: string | undefined;
  readonly status?: 'held' | 'parked' | undefined;
  /** Set aside then or later. */
  readonly since?: Date | undefined;
  /** Its head failed so often, or more often. */
  readonly attemptsMin?: number | undefined;
}

/** An event that is set aside, without its contents. `attempts`, `code` and `reason` are those of its chain's head. */
export interface SetAsideEvent {
  readonly id: EventId;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string;
  readonly type: string;
  readonly source: string | null;
  readonly position: bigint;
  readonly status: 'held' | 'parked';
  /** The others of the chain wait behind its head. */
  readonly isHead: boolean;
  readonly chainLength: number;
  readonly attempts: number;
  readonly code: string;
  readonly reason: string;
  readonly since: Date;
  /** Null while it is parked. */
  readonly nextTry: Date | null;
}

/** Whose inbox, and who acts. */
export interface AdminRequest {
  readonly consumer: string;
  /** For the audit trail. */
  readonly actor: string;
  /** Kept in the audit trail. */
  readonly reason: string | null;
  /** Say what would be done, and change nothing. */
  readonly isDryRun?: boolean;
}

/** The chains of a consumer that an action is for. */
export interface SelectionRequest extends AdminRequest {
  readonly filter: SetAsideFilter;
}

/** What an action changed, or would change. */
export interface DiscardedEvent {
  readonly id: EventId;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly partition: number;
  readonly offset: bigint;
}

const LIST_MAX = 1_000;

/** The events of a consumer that are set aside, chain by chain, those that wait longest first; at most `limit` (1,000). */
export async function listSetAside(
  target: AdminTarget,
  request: { readonly consumer: string; readonly filter?: SetAsideFilter; readonly limit?: number },
): Promise<readonly SetAsideEvent[]> {
  const limit = Math.min(request.limit ?? LIST_MAX, LIST_MAX);
  const values = [...filterParameters(request.consumer, request.filter ?? {}), limit];
  return await withAdminClient(target, async (client) => {
    const { rows } = await client.query<ListRow>({ text: LIST, values });
    return rows.map(toSetAsideEvent);
  });
}

/** The consumers that the database knows, by name: those that have read a first event; at most 1,000. */
export async function listConsumers(target: AdminTarget): Promise<readonly string[]> {
  return await withAdminClient(target, async (client) => {
    const { rows } = await client.query<{ consumer: string }>(CONSUMERS);
    return rows.map(({ consumer }) => consumer);
  });
}

/**
 * Has the chosen chains tried again at once, from their heads on and in order; resolves with their number. Written with
 * its audit row, or not at all. Throws `InboxError` `not_found` when no chain fits.
 */
export async function retrySetAside(target: AdminTarget, request: SelectionRequest): Promise<number> {
  const chosen = filterParameters(request.consumer, request.filter);
  return await act(target, request, async (client) => {
    const chains = await lockChosen(client, request, chosen);
    await client.query({ text: MAKE_DUE, values: [request.consumer, ...namesOf(chains)] });
    await audit(client, request, 'inbox.retry', { filter: request.filter, chains: chains.length });
    return chains.length;
  });
}

/**
 * Gives up the event with the given id, or else the head of each chosen chain, so that the events behind it go on. They are
 * never applied and do not come again. Written with its audit rows, or not at all. Throws `InboxError` `not_found` when
 * nothing fits, and `configuration_invalid` without an id, a key or a code, or without a reason.
 */
export async function discardSetAside(
  target: AdminTarget,
  request: SelectionRequest,
): Promise<readonly DiscardedEvent[]> {
  requireReason(request);
  const { id, key, code } = request.filter;
  if (id === undefined && key === undefined && code === undefined) {
    throw new InboxError('configuration_invalid', 'Name the events to discard: by id, key or code.');
  }
  const chosen = filterParameters(request.consumer, request.filter);
  return await act(target, request, async (client) => {
    const names = namesOf(await lockChosen(client, request, chosen));
    const { rows } = await client.query<EventRow>({
      text: CHOOSE_EVENTS,
      values: [request.consumer, ...names, id ?? null],
    });
    requireSome(rows, request);
    await client.query({ text: REMOVE_EVENTS, values: [request.consumer, rows.map((row) => row.id)] });
    await client.query({ text: REMOVE_EMPTY_KEYS, values: [request.consumer, ...names] });
    const behind = rows.filter((row) => row.is_head);
    await client.query({ text: MAKE_DUE, values: [request.consumer, ...namesOf(behind)] });
    for (const row of rows) {
      await audit(client, request, 'inbox.discard', row);
    }
    return rows.map(toDiscardedEvent);
  });
}

/**
 * Accepts the hole of a partition: its floors move again, and claims below them are removed. Replay first what the hole
 * swallowed. Throws `InboxError` `not_found` when the partition is not frozen, `configuration_invalid` without a reason.
 */
export async function thawPartition(
  target: AdminTarget,
  request: AdminRequest & { readonly topic: string; readonly partition: number },
): Promise<{ readonly from: bigint; readonly to: bigint }> {
  requireReason(request);
  const { consumer, topic, partition } = request;
  return await act(target, request, async (client) => {
    const { rows } = await client.query<{ from: string; to: string }>({
      text: THAW,
      values: [consumer, topic, partition],
    });
    const [hole] = rows;
    if (hole === undefined) {
      throw new InboxError('not_found', `Partition ${partition} of topic ${topic} is not frozen for ${consumer}.`);
    }
    await audit(client, request, 'inbox.thaw', { topic, partition, ...hole });
    return { from: BigInt(hole.from), to: BigInt(hole.to) };
  });
}

async function act<Result>(
  target: AdminTarget,
  { isDryRun = false }: AdminRequest,
  work: (client: pg.ClientBase) => Promise<Result>,
): Promise<Result> {
  return await withAdminClient(
    target,
    async (client) => await inAdminTransaction(client, isDryRun, async () => await work(client)),
  );
}

interface Chain {
  readonly topic: string;
  readonly key: string;
}

async function lockChosen(
  client: pg.ClientBase,
  request: SelectionRequest,
  values: unknown[],
): Promise<readonly Chain[]> {
  const { rows } = await client.query<{ topic: string; key: string }>({ text: LOCK_CHOSEN, values });
  requireSome(rows, request);
  return rows;
}

function requireSome(rows: readonly unknown[], { consumer }: AdminRequest): void {
  if (rows.length === 0) {
    throw new InboxError('not_found', `Nothing that fits is set aside for consumer ${consumer}.`);
  }
}

async function audit(
  client: pg.ClientBase,
  { consumer, actor, reason }: AdminRequest,
  action: string,
  details: unknown,
): Promise<void> {
  await client.query({ text: AUDIT, values: [actor, action, consumer, reason, JSON.stringify(details)] });
}

function requireReason({ reason }: AdminRequest): void {
  if (reason === null || reason.trim() === '') {
    throw new InboxError('configuration_invalid', 'Give a reason; it is kept in the audit trail.');
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** In the order of the statements' parameters. */
function filterParameters(consumer: string, filter: SetAsideFilter): unknown[] {
  if (filter.id !== undefined && !UUID.test(filter.id)) {
    throw new InboxError('configuration_invalid', "The id must be an event's UUID, as the list shows it.");
  }
  const { topic, key, id, code, status, since, attemptsMin } = filter;
  return [consumer, topic, key, id, code, status, since, attemptsMin];
}

function namesOf(chains: readonly Chain[]): readonly [string[], string[]] {
  return [chains.map(({ topic }) => topic), chains.map(({ key }) => key)];
}

interface EventRow {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly partition: number;
  readonly offset: string;
  readonly position: string;
  readonly source: string | null;
  readonly is_head: boolean;
}

interface ListRow extends EventRow {
  readonly status: 'held' | 'parked';
  readonly chain_length: number;
  readonly attempts: number;
  readonly code: string;
  readonly reason: string;
  readonly since: Date;
  readonly next_try: Date | null;
}

function toDiscardedEvent({ id, topic, key, type, partition, offset }: EventRow): DiscardedEvent {
  return { id: toEventId(id), topic, key, type, partition, offset: BigInt(offset) };
}

function toSetAsideEvent(row: ListRow): SetAsideEvent {
  const { topic, partition, key, type, source, status, attempts, code, reason, since } = row;
  return {
    id: toEventId(row.id),
    topic,
    partition,
    offset: BigInt(row.offset),
    key,
    type,
    source,
    position: BigInt(row.position),
    status,
    isHead: row.is_head,
    chainLength: row.chain_length,
    attempts,
    code,
    reason,
    since,
    nextTry: row.next_try,
  };
}
