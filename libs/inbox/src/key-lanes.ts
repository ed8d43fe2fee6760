/**
 * The order of a partition's unfinished items: first come, first served per key, keys independent of each other. A key
 * whose items are out (taken and not yet finished) is busy and gives none. Pure; knows nothing of time or of handlers.
 */
export class KeyLanes<Item> {
  readonly #lanes = new Map<string, Lane<Item>>();
  /** Lanes that can give an item, oldest first; from `#readyHead` on. */
  #ready: Lane<Item>[] = [];
  #readyHead = 0;
  #readyItems = 0;

  /** Appends an item to its key. */
  add(key: string, item: Item): void {
    const lane = this.#lanes.get(key);
    if (lane !== undefined) {
      lane.items.push(item);
      this.#readyItems += lane.taken === 0 ? 1 : 0;
      return;
    }
    const opened: Lane<Item> = { key, items: [item], taken: 0 };
    this.#lanes.set(key, opened);
    this.#ready.push(opened);
    this.#readyItems++;
  }

  /** Items of the keys that are not busy: when there are any, `take` gives something. */
  get readyItems(): number {
    return this.#readyItems;
  }

  /**
   * Takes up to `max` items of the keys that have waited longest, several of one key if it has them, in an order that
   * keeps each key's. Their keys are busy until `finish`. An item for which `isAlone` holds is taken by itself.
   */
  take(max: number, isAlone: (item: Item) => boolean): readonly Item[] {
    const batch: Item[] = [];
    while (batch.length < max && this.#readyItems > 0) {
      const lane = this.#ready[this.#readyHead];
      const [first] = lane?.items ?? [];
      if (lane === undefined || first === undefined) {
        break;
      }
      if (isAlone(first)) {
        if (batch.length === 0) {
          this.#removeReady(lane);
          lane.taken = 1;
          batch.push(first);
        }
        break;
      }
      this.#removeReady(lane);
      lane.taken = countTogether(lane.items, max - batch.length, isAlone);
      batch.push(...lane.items.slice(0, lane.taken));
    }
    return batch;
  }

  /** The items of `key` that are out are done. The key goes to the end of the queue if it has more. */
  finish(key: string): void {
    const lane = this.#busy(key);
    lane.items.splice(0, lane.taken);
    this.#rest(lane);
  }

  /** The items of `key` that are out were not done: they are its first again, and it is ready. */
  putBack(key: string): void {
    this.#rest(this.#busy(key));
  }

  #busy(key: string): Lane<Item> {
    const lane = this.#lanes.get(key);
    if (lane === undefined || lane.taken === 0) {
      throw new Error('A lane was finished that has nothing out.');
    }
    return lane;
  }

  #rest(lane: Lane<Item>): void {
    lane.taken = 0;
    if (lane.items.length > 0) {
      this.#ready.push(lane);
      this.#readyItems += lane.items.length;
    } else {
      this.#lanes.delete(lane.key);
    }
  }

  #removeReady(lane: Lane<Item>): void {
    this.#readyItems -= lane.items.length;
    this.#readyHead++;
    if (this.#readyHead === this.#ready.length) {
      this.#ready = [];
      this.#readyHead = 0;
    } else if (this.#readyHead >= COMPACT_AT) {
      this.#ready = this.#ready.slice(this.#readyHead);
      this.#readyHead = 0;
    }
  }
}

interface Lane<Item> {
  readonly key: string;
  /** Oldest first; the first `taken` of them are out. */
  readonly items: Item[];
  taken: number;
}

const COMPACT_AT = 1_000;

function countTogether<Item>(items: readonly Item[], max: number, isAlone: (item: Item) => boolean): number {
  let count = 1;
  for (const item of items.slice(1, max)) {
    if (isAlone(item)) {
      break;
    }
    count++;
  }
  return count;
}
