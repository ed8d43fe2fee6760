import { type AggregateKey, type HeldEvent, type Refusal, type StoredHeldKey } from '@millrace/capture';
import { type EventId, type Position } from '@millrace/events';
import { type PageInFlight } from '../page-in-flight.js';

/** What is told of an event that is set aside. */
export interface EventIdentity extends AggregateKey {
  readonly position: Position;
  readonly id: EventId;
  readonly bytes: number;
}

/** An event of a page, and how it gets on its way after all. */
export interface Arrival {
  readonly event: EventIdentity;
  readonly page: PageInFlight;
  readonly letGo: () => void;
}

/** An arrival that the ledger's statement has not taken yet. */
export interface Unwritten extends Arrival {
  readonly status: 'held' | 'skipped';
  readonly refusal: Refusal | null;
}

/** A key of which events are held. */
export interface HeldKey extends AggregateKey {
  /** By the monotonic clock; `null`: parked. */
  dueAtMs: number | null;
  attempts: number;
  refusal: Refusal;
  /** In the database; about, until it is read again. */
  events: number;
  bytes: number;
  sinceMs: number;
  isStored: boolean;
  /** Its events are on their way, and none of them was refused since. */
  isTrying: boolean;
  /** Its first event was confirmed: what follows need not be tried one at a time. */
  isFlowing: boolean;
  /** A person has acted on the route while it was on its way: what comes of that try does not count. */
  isOverlooked: boolean;
  /** `null`: not known yet whether it is another shard's. */
  isOwn: boolean | null;
  /** Refused events that are not in the database yet: nothing is tried before. */
  refusedUnwritten: number;
  /** Those of its chain that are in a lane, or about to be. */
  readonly moving: Set<Position>;
}

/** How much is held. */
export interface HeldSummary {
  readonly events: number;
  readonly bytes: number;
  readonly keys: number;
  readonly parkedKeys: number;
  /** For how long the oldest key has been held; 0 without one. */
  readonly oldestMs: number;
}

/** A key that is held from now on. */
export function openedKey({ aggregateType, aggregateId }: AggregateKey, refusal: Refusal, sinceMs: number): HeldKey {
  return {
    ...{ aggregateType, aggregateId, refusal, sinceMs },
    dueAtMs: null,
    attempts: 0,
    events: 0,
    bytes: 0,
    isStored: false,
    isTrying: false,
    isFlowing: false,
    isOverlooked: false,
    isOwn: true,
    refusedUnwritten: 0,
    moving: new Set(),
  };
}

/** A key as it was stored. */
export function loadedKey(stored: StoredHeldKey, nowMs: number, isOwn: boolean | null): HeldKey {
  const { events, bytes, attempts, dueInMs, ageMs } = stored;
  const key = openedKey(stored, stored.refusal, nowMs - ageMs);
  return Object.assign(key, { events, bytes, attempts, dueAtMs: dueAtOf(dueInMs, nowMs), isStored: true, isOwn });
}

/** Names a key: a zero byte stands in no text of PostgreSQL. */
export function nameOf({ aggregateType, aggregateId }: AggregateKey): string {
  return `${aggregateType}\0${aggregateId}`;
}

/** Nothing of it is on its way, neither to the sink nor to the database. */
export function isAtRest({ moving, refusedUnwritten }: HeldKey): boolean {
  return moving.size === 0 && refusedUnwritten === 0;
}

/** `null`: parked. */
export function dueAtOf(dueInMs: number | null, nowMs: number): number | null {
  return dueInMs === null ? null : nowMs + dueInMs;
}

/** The order of a chain. */
export function byPosition(a: Arrival, b: Arrival): number {
  return a.event.position < b.event.position ? -1 : 1;
}

/** For how long the oldest of the keys has been held, and how many wait for a person. */
export function ageOf(keys: Iterable<HeldKey>, nowMs: number): Pick<HeldSummary, 'oldestMs' | 'parkedKeys'> {
  let [oldestMs, parkedKeys] = [0, 0];
  for (const { sinceMs, dueAtMs } of keys) {
    oldestMs = Math.max(oldestMs, nowMs - sinceMs);
    parkedKeys += dueAtMs === null ? 1 : 0;
  }
  return { oldestMs, parkedKeys };
}

/** As it is written. */
export function heldEventOf({ event, status, refusal }: Unwritten): HeldEvent {
  const { position, id, aggregateType, aggregateId, bytes } = event;
  return { position, id, aggregateType, aggregateId, bytes, status, refusal };
}
