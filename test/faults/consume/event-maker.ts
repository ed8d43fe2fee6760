import { type RelayedEvent } from '../../harness/record-writer.js';
import { type Random } from '../../ledger/random.js';

/** What a handler under test may be asked for, in an event's payload. */
export interface Asked {
  /** How long the handler works, inside its transaction. */
  readonly workMs?: number;
  /** `poisoned`: fails while the event stands in table `poison`; `transient`: is now and then refused by the database. */
  readonly failure?: 'poisoned' | 'transient';
  /** Rows that the handler locks, in this order. */
  readonly locks?: readonly string[];
}

/** The contract's name: see app/key-changed.ts. */
export const EVENT_TYPE = 'order.changed';

const HOT_KEYS = 6;
const COLD_KEYS = 60;
const ROLLBACK_ODDS = 10;

/** Makes up events as a producer commits them: versions per key, positions with holes where others were rolled back. */
export class EventMaker {
  private position = 0;
  private readonly versions = new Map<string, number>();

  constructor(private readonly random: Random) {}

  /** The next event of a key; of one chosen at random when none is named. */
  next(asked: Asked = {}, key = this.anyKey()): RelayedEvent {
    this.position += this.random.isOneIn(ROLLBACK_ODDS) ? 2 : 1;
    const version = (this.versions.get(key) ?? 0) + 1;
    this.versions.set(key, version);
    return {
      id: this.uuid(),
      position: this.position,
      type: EVENT_TYPE,
      key,
      version,
      payload: JSON.stringify({ key, version, ...asked }),
    };
  }

  many(count: number, asked: Asked = {}): RelayedEvent[] {
    return Array.from({ length: count }, () => this.next(asked));
  }

  private anyKey(): string {
    return this.random.isOneIn(2) ? `hot-${this.random.below(HOT_KEYS)}` : `cold-${this.random.below(COLD_KEYS)}`;
  }

  /** Of the seed, so that a run can be made again. */
  private uuid(): string {
    const hex = Array.from({ length: 8 }, () => this.random.below(65_536).toString(16).padStart(4, '0')).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}
