import {
  type AggregateKey,
  type ChainRequest,
  type HeldAction,
  type HeldChanges,
  type HeldEvent,
  type HeldKeyChange,
  type Refusal,
  type StoredHeldKey,
} from '@millrace/capture';
import { type VirtualTime } from './virtual-time.js';

/** An event that is set aside, as its table has it. */
export interface HeldRow extends Omit<HeldEvent, 'status' | 'refusal'> {
  status: 'held' | 'skipped';
  refusal: Refusal | null;
}

interface HeldKeyRow extends AggregateKey {
  readonly sinceMs: number;
  attempts: number;
  refusal: Refusal;
  /** `null`: parked. */
  dueMs: number | null;
}

/** What a person has done with an event that was held, as the truth knows it. */
export type Fate = 'discarded' | 'left out';

/** The tables of held events and their keys, with what the ledger's statement and a person do to them. */
export class SimHeld {
  /** Grows with each act of a person. */
  revision = 0n;
  readonly rows = new Map<bigint, HeldRow>();
  /** Ids that a person gave up, or that a route has left out at some time. */
  readonly fates = new Map<string, Fate>();
  private readonly keys = new Map<string, HeldKeyRow>();

  constructor(private readonly time: VirtualTime) {}

  /** In chains, not left out. */
  get events(): number {
    return [...this.rows.values()].filter(({ status }) => status === 'held').length;
  }

  get isEmpty(): boolean {
    return this.rows.size === 0 && this.keys.size === 0;
  }

  /** The first event of the chain of a key, and whether the key waits for a person; `null`: nothing of it is held. */
  headOf(aggregateId: string): { readonly row: HeldRow; readonly isParked: boolean } | null {
    const [row] = this.chainOf(aggregateId);
    return row === undefined ? null : { row, isParked: this.keys.get(aggregateId)?.dueMs === null };
  }

  /** As the ledger's statement does. */
  apply({ revision, events, refusedAgain, released, keys, closed }: HeldChanges): void {
    for (const event of events) {
      this.add(event);
    }
    for (const { position, status, refusal } of refusedAgain) {
      const row = this.rows.get(position);
      if (row !== undefined) {
        Object.assign(row, { status, refusal });
        this.leftOut(row.id, status);
      }
    }
    for (const position of released) {
      this.rows.delete(position);
    }
    for (const key of keys) {
      this.setKey(revision === this.revision ? key : { ...key, dueInMs: 0 });
    }
    for (const { aggregateId } of closed) {
      if (this.chainOf(aggregateId).length === 0) {
        this.keys.delete(aggregateId);
      }
    }
  }

  /** What a person does with the rows that he picks. */
  act(action: HeldAction, isPicked: (row: HeldRow) => boolean): void {
    const picked = [...this.rows.values()].filter(isPicked);
    this.revision += 1n;
    if (action === 'retry') {
      for (const row of picked) {
        row.status = 'held';
        this.makeDue(row, row.refusal ?? { code: 'held', reason: 'An earlier event of its key was refused.' });
      }
      return;
    }
    const firsts = new Set(picked.filter((row) => this.headOf(row.aggregateId)?.row === row));
    for (const row of picked) {
      this.rows.delete(row.position);
      this.fates.set(row.id, 'discarded');
    }
    for (const { aggregateId } of firsts) {
      const key = this.keys.get(aggregateId);
      if (key !== undefined) {
        this.makeDue(key, key.refusal);
      }
    }
  }

  stored(): readonly StoredHeldKey[] {
    const { nowMs } = this.time;
    return [...this.keys.values()].map(({ dueMs, sinceMs, ...key }) => {
      const chain = this.chainOf(key.aggregateId);
      const bytes = chain.reduce((sum, row) => sum + row.bytes, 0);
      const dueInMs = dueMs === null ? null : Math.max(0, dueMs - nowMs);
      return { ...key, dueInMs, events: chain.length, bytes, ageMs: nowMs - sinceMs };
    });
  }

  chains({ keys, eventsMax }: ChainRequest): readonly HeldRow[] {
    return keys.flatMap(({ aggregateId }) => this.chainOf(aggregateId).slice(0, eventsMax));
  }

  private add(event: HeldEvent): void {
    if (!this.rows.has(event.position)) {
      this.rows.set(event.position, { ...event });
      this.leftOut(event.id, event.status);
    }
  }

  private setKey({ aggregateType, aggregateId, attempts, refusal, dueInMs }: HeldKeyChange): void {
    const { nowMs } = this.time;
    const dueMs = dueInMs === null ? null : nowMs + dueInMs;
    const sinceMs = this.keys.get(aggregateId)?.sinceMs ?? nowMs;
    this.keys.set(aggregateId, { aggregateType, aggregateId, attempts, refusal, dueMs, sinceMs });
  }

  private chainOf(aggregateId: string): HeldRow[] {
    return [...this.rows.values()]
      .filter((row) => row.status === 'held' && row.aggregateId === aggregateId)
      .sort((a, b) => (a.position < b.position ? -1 : 1));
  }

  private makeDue({ aggregateType, aggregateId }: AggregateKey, refusal: Refusal): void {
    const { nowMs } = this.time;
    const before = this.keys.get(aggregateId) ?? { aggregateType, aggregateId, refusal, sinceMs: nowMs };
    this.keys.set(aggregateId, { ...before, attempts: 0, dueMs: nowMs });
  }

  private leftOut(id: string, status: HeldRow['status']): void {
    if (status === 'skipped') {
      this.fates.set(id, 'left out');
    }
  }
}
