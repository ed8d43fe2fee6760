/** A seeded source of numbers from 0 (included) to 1 (excluded): mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What clocks on the wall show, in milliseconds since 1970, when a simulation begins. */
export const BEGINS_AT_MS = 1_800_000_000_000;

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** Something that will happen, unless it is cancelled. */
export interface Planned {
  cancel(): void;
}

/**
 * True time. Everything that happens in a simulation happens here, one thing after the other: what is due first runs
 * first, and all promises that it settles run to their end before the next.
 */
export class VirtualTime {
  private readonly heap: Due[] = [];
  private now = 0;
  private order = 0;

  get nowMs(): number {
    return this.now;
  }

  in(delayMs: number, run: () => void): Planned {
    const due: Due = { atMs: this.now + Math.max(0, delayMs), order: this.order++, run, isCancelled: false };
    this.push(due);
    return {
      cancel: () => {
        due.isCancelled = true;
      },
    };
  }

  /** Lets things happen until `isDone`, or until nothing is left, or until `endMs` has come. */
  async runUntil(isDone: () => boolean, endMs: number): Promise<void> {
    await promisesSettled();
    while (!isDone()) {
      const [next] = this.heap;
      if (next === undefined || next.atMs > endMs) {
        return;
      }
      const due = this.pop();
      if (due?.isCancelled === false) {
        this.now = due.atMs;
        due.run();
        await promisesSettled();
      }
    }
  }

  private push(due: Due): void {
    const { heap } = this;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, due)) {
        break;
      }
      heap[at] = parent;
      at = above;
    }
    heap[at] = due;
  }

  private pop(): Due | undefined {
    const { heap } = this;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) {
      return first;
    }
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = heap[below];
      const right = heap[below + 1];
      if (child !== undefined && right !== undefined && isBefore(right, child)) {
        below += 1;
        child = right;
      }
      if (child === undefined || isBefore(last, child)) {
        break;
      }
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** A tick runs after all that promises have queued, and much sooner than a timer. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
