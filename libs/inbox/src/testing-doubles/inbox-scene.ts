import { setTimeout as sleep } from 'node:timers/promises';
import { toEventId, toPosition } from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { v7 } from 'uuid';
import { type Arrival, type Handle, type PartitionProgress } from '../inbox-port.js';

/** Limits as a service sets them, in milliseconds; nearly as long as they may be, for machines that stand still. */
export const LIMITS = { statement_timeout: 50_000, lock_timeout: 45_000, idle_in_transaction_session_timeout: 55_000 };

/** A pool of its own, as another process has one. */
export async function openDataSource(
  url: string,
  limits: Readonly<Record<string, number>> = LIMITS,
): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    installExtensions: false,
    extra: limits,
    poolErrorHandler: () => undefined,
  });
  return await dataSource.initialize();
}

/** What a test says of an event; the rest is made up. */
export interface ArrivalParts {
  readonly id?: string;
  readonly position?: number;
  readonly offset?: number;
  readonly topic?: string;
  readonly partition?: number;
  readonly source?: string;
  readonly key?: string;
  readonly type?: string;
  readonly isBypassingFloor?: boolean;
  /** False: it did not come from a relay. */
  readonly hasStream?: boolean;
  readonly timestampMs?: number;
  readonly headers?: Delivery['headers'];
}

const USUAL = {
  position: 1,
  topic: 'orders',
  partition: 0,
  source: 'shop',
  key: 'k',
  type: 'order.placed',
  isBypassingFloor: false,
  hasStream: true,
  timestampMs: 1_763_700_000_000,
};

/** An event of topic `orders`. */
export function arrivalOf(parts: ArrivalParts = {}): Arrival {
  const { topic, partition, position, key, source, ...event } = { ...USUAL, ...parts };
  return {
    id: toEventId(event.id ?? v7()),
    stream: event.hasStream ? { topic, partition, source, route: 'default' } : null,
    position: toPosition(position),
    key,
    type: event.type,
    isBypassingFloor: event.isBypassingFloor,
    delivery: {
      topic,
      partition,
      offset: BigInt(event.offset ?? position),
      key: Buffer.from(key),
      value: Buffer.from('{"secret":"geheim"}'),
      headers: event.headers ?? new Map([['millrace-position', Buffer.from(String(position))]]),
      timestampMs: event.timestampMs,
    },
  };
}

/** Progress of partition 0 of topic `orders` with one stream. */
export function progressOf(parts: {
  readonly partition?: number;
  readonly nextOffset: number | null;
  readonly floor?: number;
  readonly hole?: readonly [number, number];
}): PartitionProgress {
  const { partition = 0, nextOffset, floor, hole } = parts;
  return {
    topic: 'orders',
    partition,
    nextOffset: nextOffset === null ? null : BigInt(nextOffset),
    hole: hole === undefined ? null : { from: BigInt(hole[0]), to: BigInt(hole[1]) },
    floors: floor === undefined ? [] : [{ source: 'shop', route: 'default', floor: toPosition(floor) }],
  };
}

/** All that the inbox writes. */
export const INBOX_TABLES =
  'millrace.inbox, millrace.inbox_floor, millrace.inbox_partition, millrace.inbox_held, millrace.inbox_held_key';

/** The table that `recordEffect` writes; without a key, so that a double effect is seen. */
export const EFFECT_TABLE = 'create table public.effect (n serial, id uuid not null, key text not null)';

/** A handler whose effect is one row. */
export const recordEffect: Handle = async (arrival, tx) => {
  await tx.query('insert into public.effect (id, key) values ($1, $2)', [arrival.id, arrival.key]);
};

/** A promise that a test settles. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** A gate that is closed. */
export function createGate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    opened,
    open: () => {
      open();
    },
  };
}

/** Looks until it sees what is wanted, for a minute; `wanted` completes the sentence "there was never ...". */
export async function seen<Found>(
  look: () => Promise<Found>,
  isWanted: (found: Found) => boolean,
  wanted: string,
): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isWanted(await look())) {
    if (performance.now() > deadline) {
      throw new Error(`there was never ${wanted}`);
    }
    await sleep(10);
  }
}

/** Resolves once so many sessions of this database wait for a lock. */
export async function waitersFor(observer: pg.Client, count = 1): Promise<void> {
  const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  const look = async (): Promise<number> => (await observer.query(waiting)).rowCount ?? 0;
  await seen(look, (found) => found >= count, `${count} sessions waiting for a lock`);
}
