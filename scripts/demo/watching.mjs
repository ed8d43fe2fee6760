import { setTimeout as sleep } from 'node:timers/promises';

/** Between two looks; longer when a look takes long, so that the service has time for the rest. */
const PAUSE_MS = { shortest: 50, longest: 2_000, perLookMs: 4 };
const PAGE = 100;

/**
 * Finds out what becomes of the accepted orders, as a client of the order service: reads its list, newest first, as far
 * as there are orders without an end. So an order's time to its end is known to the time between two looks.
 */
export class Watching {
  #books;
  #client;
  #urls;
  #isStopped = false;
  #running;
  /** Milliseconds from look to look. */
  intervalsMs = [];

  constructor({ books, client, urls }) {
    this.#books = books;
    this.#client = client;
    this.#urls = urls;
  }

  start() {
    this.#running = this.#watch();
  }

  async stop() {
    this.#isStopped = true;
    await this.#running;
  }

  async #watch() {
    while (!this.#isStopped) {
      const startedMs = performance.now();
      let lookMs = 0;
      try {
        lookMs = await this.#look();
      } catch (error) {
        this.#books.finding(error.message);
      }
      await sleep(Math.max(PAUSE_MS.shortest, Math.min(PAUSE_MS.longest, PAUSE_MS.perLookMs * lookMs)));
      if (lookMs > 0) {
        this.intervalsMs.push(performance.now() - startedMs);
      }
    }
  }

  /** Resolves to how long it took. An order that ends on a page that was read before is found at the next look. */
  async #look() {
    const unseen = new Set(this.#books.open.keys()); // only what was accepted before the list is asked for
    if (unseen.size === 0) {
      return 0;
    }
    const startedMs = performance.now();
    let cursor = '';
    while (unseen.size > 0 && cursor !== undefined && !this.#isStopped) {
      const { body } = await this.#client.answer(`${this.#urls.order}/orders?limit=${PAGE}${cursor}`);
      const seenMs = performance.now();
      for (const order of body.items.filter(({ id }) => unseen.delete(id))) {
        if (order.status !== 'pending') {
          this.#books.final(order.id, order, seenMs);
        }
      }
      cursor = body.nextCursor === null ? undefined : `&cursor=${body.nextCursor}`;
    }
    if (cursor === undefined) {
      this.#miss(unseen);
    }
    return performance.now() - startedMs;
  }

  #miss(ids) {
    for (const id of ids) {
      this.#books.open.delete(id);
      this.#books.finding(`order ${id} was accepted and is not in the list any more`);
    }
  }
}
