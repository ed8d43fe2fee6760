import { type EventId, type OutboxEvent, type Position } from '@millrace/events';

/** The unit of order: what is held, is held by it. */
export interface AggregateKey {
  readonly aggregateType: string;
  readonly aggregateId: string;
}

/** Why a sink, or the relay, will not have an event as it is: a code of a closed list, a sentence for an operator. */
export interface Refusal {
  readonly code: string;
  readonly reason: string;
}

/** A key of which events are held, as it is stored. */
export interface StoredHeldKey extends AggregateKey {
  /** Milliseconds until it is to be tried again, 0 when it is time; `null`: parked, until a person acts. */
  readonly dueInMs: number | null;
  /** Refusals of the first event of its chain. */
  readonly attempts: number;
  readonly refusal: Refusal;
  readonly events: number;
  readonly bytes: number;
  /** Since when it has been held, in milliseconds before now. */
  readonly ageMs: number;
}

/** One event of a chain. */
export interface ChainEvent extends AggregateKey {
  readonly position: Position;
  readonly id: EventId;
  readonly bytes: number;
  /** `null`: its row of the outbox is gone, and nobody has kept a copy. */
  readonly event: OutboxEvent | null;
}

/** Which chains to read, and how much of them. */
export interface ChainRequest {
  readonly keys: readonly AggregateKey[];
  /** Of each key, from the first one on. */
  readonly eventsMax: number;
  /** Of each key; its first event is read however large it is. */
  readonly bytesMax: number;
}

/** Reads what is held of a route, all of its shards. Each call is one statement. Throws `CaptureError`. */
export interface HeldReader {
  keys(): Promise<readonly StoredHeldKey[]>;
  /** By position within each key. */
  chains(request: ChainRequest): Promise<readonly ChainEvent[]>;
}

/**
 * What a claim finds of the held events of its route. May be used between the writes of the ledger, not beside them: what
 * is read then is what was written.
 */
export interface ClaimedHeld extends HeldReader {
  /** Grows when a person has changed what is held; every write of the ledger tells it. */
  readonly revision: bigint;
  /** As they were when the route was claimed: read after the epoch was won. */
  readonly stored: readonly StoredHeldKey[];
}

/** An event that is set aside from now on. `held`: in the chain of its key; `skipped`: for good, its key goes on. */
export interface HeldEvent extends AggregateKey {
  readonly position: Position;
  readonly id: EventId;
  readonly status: 'held' | 'skipped';
  /** `null`: it waits behind another one. */
  readonly refusal: Refusal | null;
  readonly bytes: number;
}

/** An event of a chain that was refused again. */
export interface RefusedAgain {
  readonly position: Position;
  readonly status: 'held' | 'skipped';
  readonly refusal: Refusal;
}

/** A key as it is to be from now on. */
export interface HeldKeyChange extends AggregateKey {
  readonly attempts: number;
  /** `null`: parked. */
  readonly dueInMs: number | null;
  readonly refusal: Refusal;
}

/** What the owner of a route changes in what is held, with a write of its ledger. No position or key stands in it twice. */
export interface HeldChanges {
  /**
   * `held_revision` as of the last reading of the keys. When a person has acted since, `keys` are due at once, whatever they
   * say: it was not known what he did.
   */
  readonly revision: bigint;
  readonly events: readonly HeldEvent[];
  readonly refusedAgain: readonly RefusedAgain[];
  /** Confirmed by the sink. */
  readonly released: readonly Position[];
  readonly keys: readonly HeldKeyChange[];
  /** Of which nothing is held any more. */
  readonly closed: readonly AggregateKey[];
}

/** Nothing changes. */
export function isEmptyHeldChange({
  events,
  refusedAgain,
  released,
  keys,
  closed,
}: Omit<HeldChanges, 'revision'>): boolean {
  return events.length + refusedAgain.length + released.length + keys.length + closed.length === 0;
}
