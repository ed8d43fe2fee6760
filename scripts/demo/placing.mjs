import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from './service-client.mjs';

const IN_FLIGHT_MAX = 100;
const OTHER_CUSTOMER = 'somebody-else';

/**
 * Places the orders of a plan at a steady rate, whatever becomes of the earlier ones (an open loop), with a bound on
 * the requests that have had no answer yet; what an outage has held up is placed as soon as there is room.
 */
export class Placing {
  #plan;
  #books;
  #client;
  #urls;
  #isStopped = false;
  #working = new Set();

  constructor({ plan, books, client, urls }) {
    this.#plan = plan;
    this.#books = books;
    this.#client = client;
    this.#urls = urls;
    this.placed = 0;
  }

  /** Requests under way, with what follows each order. */
  get inFlight() {
    return this.#working.size;
  }

  /** Resolves when all orders are placed, or as many as there were before `stop()`, and every request is answered. */
  async run({ orders, ratePerSecond }) {
    const startedMs = performance.now();
    while (this.placed < orders && !this.#isStopped) {
      const dueMs = startedMs + (this.placed / ratePerSecond) * 1_000;
      await sleep(Math.max(0, dueMs - performance.now()));
      while (this.inFlight >= IN_FLIGHT_MAX) {
        await Promise.race(this.#working);
      }
      this.#start(this.#plan.next());
    }
    while (this.inFlight > 0) {
      await Promise.all(this.#working);
    }
  }

  /** Places no more. */
  stop() {
    this.#isStopped = true;
  }

  #start({ order, delivery, deposit }) {
    this.placed += 1;
    this.#track(this.#place(order));
    if (delivery !== undefined) {
      this.#track(this.#deliver(delivery));
    }
    if (deposit !== undefined) {
      this.#track(this.#deposit(deposit));
    }
  }

  /** Rejects never: what goes wrong is a finding. */
  #track(work) {
    const tracked = work
      .catch((error) => this.#books.finding(error.message))
      .finally(() => this.#working.delete(tracked));
    this.#working.add(tracked);
  }

  async #place(order) {
    const request = { method: 'POST', key: randomUUID(), body: order.body };
    order.placedMs = performance.now();
    const first = await this.#client.answer(`${this.#urls.order}/orders`, request);
    if (first.status !== 202) {
      this.#books.finding(`an order was answered with ${describe(first)}`);
      return;
    }
    const { id } = first.body;
    this.#books.accepted(id, order);
    if (order.cancelAfterMs !== undefined) {
      this.#track(this.#cancel(id, order));
    }
    if (order.isRepeated) {
      this.#track(this.#repeat(request, first.body));
    }
    if (order.isRepeatedOtherwise) {
      this.#track(this.#repeatOtherwise(request));
    }
  }

  async #cancel(id, order) {
    await sleep(order.cancelAfterMs);
    const answer = await this.#post(`${this.#urls.order}/orders/${id}/cancel`);
    if (answer.status === 202 || answer.status === 409) {
      this.#books.cancelAnswered(id, order, answer.status === 202);
    } else {
      this.#books.finding(`the cancellation of order ${id} was answered with ${describe(answer)}`);
    }
  }

  async #repeat(request, firstBody) {
    const again = await this.#client.answer(`${this.#urls.order}/orders`, request);
    this.#books.repeats.same += 1;
    if (again.status !== 202 || JSON.stringify(again.body) !== JSON.stringify(firstBody)) {
      this.#books.finding(`order ${firstBody.id}, repeated with its key, was answered otherwise: ${describe(again)}`);
    }
  }

  async #repeatOtherwise(request) {
    const body = { ...request.body, customerId: OTHER_CUSTOMER };
    const again = await this.#client.answer(`${this.#urls.order}/orders`, { ...request, body });
    this.#books.repeats.refused += 1;
    if (again.status !== 422) {
      this.#books.finding(`another order with a used key was answered with ${describe(again)}, not refused`);
    }
  }

  async #deliver({ sku, quantity }) {
    const answer = await this.#post(`${this.#urls.inventory}/stock/${sku}/adjustments`, {
      quantity,
      reason: 'delivery',
    });
    if (answer.status === 200) {
      this.#books.delivered({ sku, quantity });
    } else {
      this.#books.finding(`a delivery of ${sku} was answered with ${describe(answer)}`);
    }
  }

  async #deposit({ customerId, amountCents }) {
    const answer = await this.#post(`${this.#urls.payment}/accounts/${customerId}/deposits`, { amountCents });
    if (answer.status === 200) {
      this.#books.deposited({ customerId, amountCents });
    } else {
      this.#books.finding(`a deposit for ${customerId} was answered with ${describe(answer)}`);
    }
  }

  async #post(url, body) {
    return this.#client.answer(url, { method: 'POST', key: randomUUID(), body });
  }
}
