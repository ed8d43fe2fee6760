import { setTimeout as sleep } from 'node:timers/promises';

/** Between two looks; longer when the list of pending orders is long, so that the service has time for the rest. */
const PAUSE_MS = { shortest: 50, longest: 2_000, perListMs: 4 };
const READS_AT_ONCE = 8;
const PAGE = 100;

/**
 * Finds out what becomes of the accepted orders, as a client of the order service: whoever is no longer in its list of
 * pending ones is read once, and is final. So an order's time to its end is known to the time between two looks.
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
      let listMs = 0;
      try {
        listMs = await this.#look();
      } catch (error) {
        this.#books.finding(error.message);
      }
      await sleep(Math.max(PAUSE_MS.shortest, Math.min(PAUSE_MS.longest, PAUSE_MS.perListMs * listMs)));
      if (listMs > 0) {
        this.intervalsMs.push(performance.now() - startedMs);
      }
    }
  }

  /** Resolves to how long the list took. */
  async #look() {
    const known = [...this.#books.open.keys()]; // only what was accepted before the list is asked for
    if (known.length === 0) {
      return 0;
    }
    const startedMs = performance.now();
    const pending = await this.#pendingIds();
    const seenMs = performance.now();
    const ended = known.filter((id) => !pending.has(id));
    while (ended.length > 0 && !this.#isStopped) {
      await Promise.all(ended.splice(0, READS_AT_ONCE).map(async (id) => this.#read(id, seenMs)));
    }
    return seenMs - startedMs;
  }

  /** Page by page: an order that ends between two pages is found at the next look. */
  async #pendingIds() {
    const ids = new Set();
    let cursor = '';
    do {
      const { body } = await this.#client.answer(`${this.#urls.order}/orders?status=pending&limit=${PAGE}${cursor}`);
      for (const { id } of body.items) {
        ids.add(id);
      }
      cursor = body.nextCursor === null ? undefined : `&cursor=${body.nextCursor}`;
    } while (cursor !== undefined && !this.#isStopped);
    return ids;
  }

  async #read(id, seenMs) {
    const { status, body } = await this.#client.answer(`${this.#urls.order}/orders/${id}`);
    if (status !== 200) {
      this.#books.open.delete(id);
      this.#books.finding(`order ${id} was accepted and is not there any more (${status})`);
    } else if (body.status !== 'pending') {
      this.#books.final(id, body, seenMs);
    }
  }
}
