import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 50;
const READS_AT_ONCE = 8;
const PAGE = 100;

/**
 * Finds out what becomes of the accepted orders, as a client of the order service: whoever is no longer in its list of
 * pending ones is read once, and is final. So an order's time to its end is known within about 50 ms.
 */
export class Watching {
  #books;
  #client;
  #urls;
  #isStopped = false;
  #running;

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
      try {
        await this.#look();
      } catch (error) {
        this.#books.finding(error.message);
      }
      await sleep(PAUSE_MS);
    }
  }

  async #look() {
    const known = [...this.#books.open.keys()]; // only what was accepted before the list is asked for
    if (known.length === 0) {
      return;
    }
    const pending = await this.#pendingIds();
    const ended = known.filter((id) => !pending.has(id));
    while (ended.length > 0 && !this.#isStopped) {
      await Promise.all(ended.splice(0, READS_AT_ONCE).map(async (id) => this.#read(id)));
    }
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

  async #read(id) {
    const { status, body } = await this.#client.answer(`${this.#urls.order}/orders/${id}`);
    if (status !== 200) {
      this.#books.open.delete(id);
      this.#books.finding(`order ${id} was accepted and is not there any more (${status})`);
    } else if (body.status !== 'pending') {
      this.#books.final(id, body, performance.now());
    }
  }
}
