import {
  type AggregateKey,
  type HeldChanges,
  type HeldEvent,
  type HeldKeyChange,
  type RefusedAgain,
  type Refusal,
  type StoredHeldKey,
} from '@millrace/capture';
import { type Position } from '@millrace/events';
import { backoffMs } from '../backoff.js';
import { type RelayClock, type RelayRandom } from '../relay-clock.js';
import {
  ageOf,
  type Arrival,
  byPosition,
  dueAtOf,
  type EventIdentity,
  heldEventOf,
  type HeldKey,
  type HeldSummary,
  isAtRest,
  loadedKey,
  nameOf,
  openedKey,
  type Unwritten,
} from './held-key.js';
import { type HeldTuning, type PoisonPolicy } from './poison-policy.js';

export interface HeldKeysParts {
  readonly policy: PoisonPolicy;
  readonly tuning: HeldTuning;
  readonly clock: RelayClock;
  readonly random: RelayRandom;
  /** The route is one of several shards. */
  readonly isShard: boolean;
}

/**
 * The keys of a claim of which events are held, in memory, and what has changed since the last write of the ledger. Whoever
 * writes the ledger takes the changes along; a write that fails ends the claim, so nothing is ever put back.
 */
export class HeldKeys {
  private readonly keys = new Map<string, HeldKey>();
  private unwritten: Unwritten[] = [];
  private released: Position[] = [];
  private refusedAgain: RefusedAgain[] = [];
  private readonly closed = new Map<string, AggregateKey>();
  private readonly changed = new Set<HeldKey>();
  private heldEvents = 0;
  private heldBytes = 0;
  private earliestMs = 0;

  constructor(private readonly parts: HeldKeysParts) {}

  has(event: AggregateKey): boolean {
    return this.keys.size > 0 && this.keys.has(nameOf(event));
  }

  find(event: AggregateKey): HeldKey | undefined {
    return this.keys.get(nameOf(event));
  }

  get events(): number {
    return this.heldEvents;
  }

  get bytes(): number {
    return this.heldBytes;
  }

  /** Too much is held to hold more. */
  get isFull(): boolean {
    const { eventsMax, bytesMax } = this.parts.tuning;
    return this.heldEvents >= eventsMax || this.heldBytes >= bytesMax;
  }

  get summary(): HeldSummary {
    const { heldEvents: events, heldBytes: bytes } = this;
    return { events, bytes, keys: this.keys.size, ...ageOf(this.keys.values(), this.parts.clock.monotonicMs()) };
  }

  /** Takes what is stored for the truth, but for what is on its way. A stored key that is no more is due, to be closed. */
  load(stored: readonly StoredHeldKey[]): void {
    const nowMs = this.parts.clock.monotonicMs();
    const seen = new Set<string>();
    for (const each of stored) {
      const name = nameOf(each);
      seen.add(name);
      const known = this.keys.get(name);
      if (known === undefined) {
        this.keys.set(name, loadedKey(each, nowMs, this.parts.isShard ? null : true));
      } else if (isAtRest(known)) {
        const { dueInMs, attempts, refusal, events, bytes } = each;
        Object.assign(known, { dueAtMs: dueAtOf(dueInMs, nowMs), attempts, refusal, events, bytes });
      } else {
        known.isOverlooked = true;
      }
    }
    for (const [name, key] of this.keys) {
      if (!seen.has(name) && isAtRest(key)) {
        Object.assign(key, { dueAtMs: nowMs, events: 0, bytes: 0 });
      }
    }
    this.earliestMs = nowMs;
    this.count();
  }

  /** An event of a held key joins its chain. */
  join(arrival: Arrival): void {
    this.add({ ...arrival, status: 'held', refusal: null });
  }

  /** An event of a page was refused: true when its key is held from now on. */
  refuse(arrival: Arrival, refusal: Refusal): boolean {
    if (this.parts.policy === 'skip') {
      this.add({ ...arrival, status: 'skipped', refusal });
      return false;
    }
    this.add({ ...arrival, status: 'held', refusal });
    const key = this.keys.get(nameOf(arrival.event)) ?? this.open(arrival.event, refusal);
    key.refusedUnwritten += 1;
    this.failed(key, refusal);
    return true;
  }

  /** An event of a chain was refused again: true when its key stays held. */
  refuseAgain(event: EventIdentity, refusal: Refusal): boolean {
    const isSkipped = this.parts.policy === 'skip';
    this.refusedAgain.push({ position: event.position, status: isSkipped ? 'skipped' : 'held', refusal });
    const key = this.find(event);
    key?.moving.delete(event.position);
    if (key !== undefined && isSkipped) {
      this.left(key, event);
      this.flow(key);
    } else if (key !== undefined) {
      this.failed(key, refusal);
    }
    return !isSkipped;
  }

  /** The sink has confirmed an event of a chain. */
  confirmed(event: EventIdentity): void {
    this.released.push(event.position);
    const key = this.find(event);
    if (key !== undefined) {
      key.moving.delete(event.position);
      this.left(key, event);
      if (key.isTrying) {
        this.flow(key);
      }
    }
  }

  /** Events of its chain are about to enter their lanes. */
  setOff(key: HeldKey, chain: readonly Pick<EventIdentity, 'position'>[]): void {
    for (const { position } of chain) {
      key.moving.add(position);
    }
  }

  /** Nothing can be done about the key but by a person. */
  park(key: HeldKey, refusal: Refusal): void {
    key.moving.clear();
    Object.assign(key, { refusal, dueAtMs: null, isFlowing: false, isTrying: false });
    this.changed.add(key);
  }

  /** The key is left alone until then; nothing is counted against it. */
  postpone(key: HeldKey, delayMs: number): void {
    key.moving.clear();
    this.wakeAt(key, this.parts.clock.monotonicMs() + delayMs);
  }

  /** The key is another shard's. */
  forget(key: HeldKey): void {
    this.keys.delete(nameOf(key));
    this.count();
  }

  /** The chain of a key is empty: what has arrived since and is in memory gets on its way, in order, and the key is free. */
  close(key: HeldKey): void {
    const name = nameOf(key);
    this.keys.delete(name);
    this.changed.delete(key);
    if (key.isStored) {
      this.closed.set(name, key);
    }
    const back: Unwritten[] = [];
    const left: Unwritten[] = [];
    for (const each of this.unwritten) {
      (each.status === 'held' && nameOf(each.event) === name ? back : left).push(each);
    }
    this.unwritten = left;
    this.count();
    for (const { page } of back) {
      page.pending += 1;
    }
    for (const { letGo } of back.sort(byPosition)) {
      letGo();
    }
  }

  /** Keys whose chains should be read now: those that flow, or else some that are to be tried. */
  due(nowMs: number, keysMax: number): HeldKey[] {
    if (nowMs < this.earliestMs) {
      return [];
    }
    const flowing: HeldKey[] = [];
    const waiting: HeldKey[] = [];
    this.earliestMs = Number.POSITIVE_INFINITY;
    for (const key of this.keys.values()) {
      const atMs = key.isOwn === null ? nowMs : key.dueAtMs;
      if (atMs === null || !isAtRest(key)) {
        continue;
      }
      this.earliestMs = Math.min(this.earliestMs, atMs);
      if (atMs <= nowMs) {
        (key.isFlowing ? flowing : waiting).push(key);
      }
    }
    const [first] = flowing;
    return first === undefined ? waiting.slice(0, keysMax) : [first];
  }

  /** There is something to write that no page brings with it. */
  get hasLooseChanges(): boolean {
    if (this.released.length + this.refusedAgain.length + this.closed.size > 0) {
      return true;
    }
    for (const { refusedUnwritten } of this.changed) {
      if (refusedUnwritten === 0) {
        return true;
      }
    }
    return false;
  }

  /** What a write of the ledger that settles all up to page `through` has to take along; `undefined`: nothing. */
  takeChanges(through: number): Omit<HeldChanges, 'revision'> | undefined {
    const { events, keys: extended } = this.takeArrivals(through);
    const keys = this.takeKeys(extended);
    const released = this.released.splice(0);
    const refusedAgain = this.refusedAgain.splice(0);
    const closed = [...this.closed.values()];
    this.closed.clear();
    return events.length + keys.length + released.length + refusedAgain.length + closed.length === 0
      ? undefined
      : { events, keys, released, refusedAgain, closed };
  }

  private takeArrivals(through: number): { readonly events: HeldEvent[]; readonly keys: ReadonlySet<HeldKey> } {
    const extended = new Set<HeldKey>();
    const taken = this.unwritten.filter(({ page }) => page.page.number <= through);
    this.unwritten = this.unwritten.filter(({ page }) => page.page.number > through);
    for (const { event, status, refusal } of taken) {
      const key = status === 'held' ? this.find(event) : undefined;
      if (key !== undefined) {
        key.events += 1;
        key.bytes += event.bytes;
        key.refusedUnwritten -= refusal === null ? 0 : 1;
        extended.add(key);
        this.wakeAt(key, key.dueAtMs);
      }
    }
    return { events: taken.map(heldEventOf), keys: extended };
  }

  /** A key is written with the first of its events, and anew with the last refused one: no chain is stored without it. */
  private takeKeys(extended: ReadonlySet<HeldKey>): HeldKeyChange[] {
    const nowMs = this.parts.clock.monotonicMs();
    const changes: HeldKeyChange[] = [];
    for (const key of this.changed) {
      if (key.refusedUnwritten === 0 || extended.has(key)) {
        const { aggregateType, aggregateId, attempts, refusal, dueAtMs } = key;
        const dueInMs = dueAtMs === null ? null : Math.max(0, dueAtMs - nowMs);
        changes.push({ aggregateType, aggregateId, attempts, refusal, dueInMs });
        key.isStored = true;
      }
      if (key.refusedUnwritten === 0) {
        this.changed.delete(key);
      }
    }
    return changes;
  }

  private add(arrival: Unwritten): void {
    arrival.page.pending -= 1;
    this.unwritten.push(arrival);
    if (arrival.status === 'held') {
      this.heldEvents += 1;
      this.heldBytes += arrival.event.bytes;
    }
  }

  private open(of: AggregateKey, refusal: Refusal): HeldKey {
    const key = openedKey(of, refusal, this.parts.clock.monotonicMs());
    const name = nameOf(key);
    key.isStored = this.closed.delete(name);
    this.keys.set(name, key);
    return key;
  }

  private failed(key: HeldKey, refusal: Refusal): void {
    const { policy, tuning, clock, random } = this.parts;
    const limits = { minMs: tuning.retryMinMs, maxMs: tuning.retryMaxMs };
    key.attempts += 1;
    key.refusal = refusal;
    key.isFlowing = false;
    key.isTrying = false;
    this.changed.add(key);
    const nowMs = clock.monotonicMs();
    const dueAtMs = policy === 'park' ? null : nowMs + backoffMs(key.attempts, limits, random);
    this.wakeAt(key, key.isOverlooked ? nowMs : dueAtMs);
    key.isOverlooked = false;
  }

  private left(key: HeldKey, { bytes }: EventIdentity): void {
    key.events = Math.max(0, key.events - 1);
    key.bytes = Math.max(0, key.bytes - bytes);
    this.heldEvents = Math.max(0, this.heldEvents - 1);
    this.heldBytes = Math.max(0, this.heldBytes - bytes);
  }

  /** The next events of the key follow as soon as all that move have left. */
  private flow(key: HeldKey): void {
    key.attempts = 0;
    key.isFlowing = true;
    this.wakeAt(key, this.parts.clock.monotonicMs());
  }

  private wakeAt(key: HeldKey, atMs: number | null): void {
    key.dueAtMs = atMs;
    this.earliestMs = Math.min(this.earliestMs, atMs ?? Number.POSITIVE_INFINITY);
  }

  private count(): void {
    let [events, bytes] = [0, 0];
    for (const key of this.keys.values()) {
      events += key.events;
      bytes += key.bytes;
    }
    for (const { event, status } of this.unwritten) {
      events += status === 'held' ? 1 : 0;
      bytes += status === 'held' ? event.bytes : 0;
    }
    this.heldEvents = events;
    this.heldBytes = bytes;
  }
}
