import {
  type AggregateKey,
  type ChainEvent,
  type ChainRequest,
  type ClaimedHeld,
  type HeldChanges,
  type HeldEvent,
  type HeldKeyChange,
  type HeldReader,
  type Refusal,
  type StoredHeldKey,
} from '@millrace/capture';
import { type OutboxEvent, type Position } from '@millrace/events';

interface Row extends AggregateKey {
  readonly position: Position;
  readonly id: HeldEvent['id'];
  readonly bytes: number;
  status: 'held' | 'skipped';
  refusal: Refusal | null;
}

/** What is held of a route, in memory instead of in tables; outlives claims. `dueInMs` counts from the moment it was written. */
export class FakeHeld implements HeldReader {
  readonly rows = new Map<Position, Row>();
  readonly stored = new Map<string, HeldKeyChange>();
  /** Rows of the outbox, for chains. */
  readonly outbox = new Map<Position, OutboxEvent>();
  /** As a person's acts raise it. */
  revision = 0n;
  reads = 0;

  /** Positions of the rows, with their status. */
  get positions(): string[] {
    return [...this.rows.values()]
      .sort((a, b) => (a.position < b.position ? -1 : 1))
      .map(({ position, status }) => (status === 'held' ? String(position) : `${String(position)} ${status}`));
  }

  get keyNames(): string[] {
    return [...this.stored.values()].map(({ aggregateId, dueInMs }) =>
      dueInMs === null ? `${aggregateId} parked` : aggregateId,
    );
  }

  async claimed(): Promise<ClaimedHeld> {
    const stored = await this.keys();
    return { revision: this.revision, stored, keys: () => this.keys(), chains: (request) => this.chains(request) };
  }

  keys(): Promise<readonly StoredHeldKey[]> {
    return Promise.resolve(
      [...this.stored.values()].map((key) => {
        const chain = this.chainOf(key);
        return { ...key, events: chain.length, bytes: chain.reduce((sum, { bytes }) => sum + bytes, 0), ageMs: 0 };
      }),
    );
  }

  chains({ keys, eventsMax }: ChainRequest): Promise<readonly ChainEvent[]> {
    this.reads += 1;
    return Promise.resolve(
      keys.flatMap((key) =>
        this.chainOf(key)
          .slice(0, eventsMax)
          .map(({ position, id, aggregateType, aggregateId, bytes }) => {
            return { position, id, aggregateType, aggregateId, bytes, event: this.outbox.get(position) ?? null };
          }),
      ),
    );
  }

  apply({ revision, events, refusedAgain, released, keys, closed }: HeldChanges): void {
    for (const { position, id, aggregateType, aggregateId, bytes, status, refusal } of events) {
      this.rows.set(position, { position, id, aggregateType, aggregateId, bytes, status, refusal });
    }
    for (const { position, status, refusal } of refusedAgain) {
      Object.assign(this.rows.get(position) ?? {}, { status, refusal });
    }
    for (const position of released) {
      this.rows.delete(position);
    }
    for (const key of keys) {
      this.stored.set(nameOf(key), revision === this.revision ? key : { ...key, dueInMs: 0 });
    }
    for (const key of closed) {
      if (this.chainOf(key).length === 0) {
        this.stored.delete(nameOf(key));
      }
    }
  }

  /** As a person does. */
  discard(position: Position): void {
    this.rows.delete(position);
    this.retry();
  }

  /** As a person does, of all keys. */
  retry(): void {
    this.revision += 1n;
    for (const [name, key] of this.stored) {
      this.stored.set(name, { ...key, dueInMs: 0, attempts: 0 });
    }
  }

  private chainOf(key: AggregateKey): Row[] {
    return [...this.rows.values()]
      .filter((row) => row.status === 'held' && nameOf(row) === nameOf(key))
      .sort((a, b) => (a.position < b.position ? -1 : 1));
  }
}

function nameOf({ aggregateType, aggregateId }: AggregateKey): string {
  return `${aggregateType} ${aggregateId}`;
}
