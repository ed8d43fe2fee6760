import { type EventId, type Position } from '@millrace/events';

/** So many events are remembered: twice as many as a relay may have in flight. */
export const FOUND_MAX = 200_000;

/** An event, by what is the same in the outbox and in its record. */
export interface EventRef {
  readonly position: Position;
  readonly id: EventId;
}

/**
 * Events of the route that were found at the ends of lanes, and that its ledger may not know of. A position alone says
 * nothing: after a crash that took back commits another event may have it.
 */
export class FoundRecords {
  private readonly ids = new Map<Position, EventId>();
  private leftOut = 0;

  /** More than `max` are not remembered: those may be published twice. */
  constructor(private readonly max = FOUND_MAX) {}

  get size(): number {
    return this.ids.size;
  }

  /** How many were not remembered. */
  get leftOutCount(): number {
    return this.leftOut;
  }

  /** False: there is no room for it. */
  add({ position, id }: EventRef): boolean {
    if (this.ids.size >= this.max && !this.ids.has(position)) {
      this.leftOut += 1;
      return false;
    }
    this.ids.set(position, id);
    return true;
  }

  has({ position, id }: EventRef): boolean {
    return this.ids.size > 0 && this.ids.get(position) === id;
  }

  clear(): void {
    this.ids.clear();
  }
}
