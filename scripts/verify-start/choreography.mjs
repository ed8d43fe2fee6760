import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from '../setup/command-error.mjs';

const LIMIT_MS = 20_000;
const POLL_MS = 50;
const CANCELS_MAX = 50;
const PRICE_CENTS = 1_250;

/** What the three services promise, asked of them as a client does; prints a line for each. */
export class ChoreographyCheck {
  #urls;
  #run = randomUUID().slice(0, 8);

  constructor(urls) {
    this.#urls = urls;
  }

  async verify() {
    await this.#stockUp();
    await this.#confirmed();
    await this.#noStock();
    await this.#tooLittleMoney();
    await this.#cancelledInFlight();
    await this.#sameKeyTwice();
    await this.#sameKeyOtherBody();
  }

  get #book() {
    return `book-${this.#run}`;
  }

  get #rich() {
    return `ada-${this.#run}`;
  }

  get #poor() {
    return `bob-${this.#run}`;
  }

  async #stockUp() {
    const { inventory, payment } = this.#urls;
    this.#expect(200, await this.#put(`${inventory}/stock/${this.#book}`, { onHand: 1_000 }));
    this.#expect(200, await this.#put(`${payment}/accounts/${this.#rich}`, { balanceCents: 1_000_000 }));
    this.#expect(200, await this.#put(`${payment}/accounts/${this.#poor}`, { balanceCents: 100 }));
  }

  async #confirmed() {
    const { status } = await this.#final(await this.#place(this.#orderOf(2)));
    require(status === 'confirmed', `an order that can be fulfilled is ${status}`);
    await this.#comesTo({ sold: 2, reserved: 0 }, 1_000_000 - 2 * PRICE_CENTS);
    console.log('ok  an order is confirmed: 2 pieces sold, paid for');
  }

  async #noStock() {
    const { status, reason } = await this.#final(await this.#place(this.#orderOf(1_001)));
    require(status === 'rejected', `an order of more than there is is ${status}`);
    require(reason === 'out-of-stock', `an order of more than there is is rejected for ${reason}`);
    console.log(`ok  no stock: rejected, ${reason}`);
  }

  async #tooLittleMoney() {
    const { status, reason } = await this.#final(await this.#place(this.#orderOf(3, this.#poor)));
    require(status === 'rejected', `an order that cannot be paid is ${status}`);
    require(reason === 'insufficient-funds', `an order that cannot be paid is rejected for ${reason}`);
    await this.#comesTo({ sold: 2, reserved: 0, available: 998 }, 1_000_000 - 2 * PRICE_CENTS);
    console.log(`ok  too little money: rejected, ${reason}; stock given back`);
  }

  async #cancelledInFlight() {
    let confirmed = 0;
    for (let attempt = 1; attempt <= CANCELS_MAX; attempt += 1) {
      const id = await this.#place(this.#orderOf(1));
      const answer = await this.#post(`${this.#urls.order}/orders/${id}/cancel`);
      const { status } = await this.#final(id);
      if (answer.status === 202) {
        require(status === 'cancelled', `an order whose cancellation was accepted is ${status}`);
        const sold = 2 + confirmed;
        await this.#comesTo({ sold, reserved: 0, available: 1_000 - sold }, 1_000_000 - sold * PRICE_CENTS);
        console.log(`ok  cancelled in flight (at try ${attempt}): cancelled, stock and money right`);
        return;
      }
      require(answer.status === 409 && status === 'confirmed', `a late cancellation was answered ${answer.status}`);
      confirmed += 1;
    }
    throw new CommandError(`Not verified: none of ${CANCELS_MAX} cancellations came before the confirmation.`);
  }

  async #sameKeyTwice() {
    const key = randomUUID();
    const first = await this.#post(`${this.#urls.order}/orders`, this.#orderOf(1), key);
    const second = await this.#post(`${this.#urls.order}/orders`, this.#orderOf(1), key);
    require(first.status === 202 &&
      second.status === 202 &&
      first.body.id ===
        second.body
          .id, `the same key twice was answered ${first.status} ${first.body.id} and ${second.status} ${second.body.id}`);
    console.log('ok  the same key twice: the same order');
  }

  async #sameKeyOtherBody() {
    const key = randomUUID();
    this.#expect(202, await this.#post(`${this.#urls.order}/orders`, this.#orderOf(1), key));
    this.#expect(422, await this.#post(`${this.#urls.order}/orders`, this.#orderOf(2), key));
    console.log('ok  the same key with another body: 422');
  }

  #orderOf(quantity, customerId = this.#rich) {
    return { customerId, lines: [{ sku: this.#book, quantity, unitPriceCents: PRICE_CENTS }] };
  }

  async #place(body) {
    const answer = await this.#post(`${this.#urls.order}/orders`, body);
    this.#expect(202, answer);
    return answer.body.id;
  }

  async #final(id) {
    return until(
      async () => (await this.#request(`${this.#urls.order}/orders/${id}`)).body,
      ({ status }) => status !== 'pending',
      `order ${id} to be final`,
    );
  }

  /** The stock of the article and the money of the rich customer follow an order's end within a moment. */
  async #comesTo(stock, balanceCents) {
    await until(
      async () => {
        const { body: seen } = await this.#request(`${this.#urls.inventory}/stock/${this.#book}`);
        const { body: account } = await this.#request(`${this.#urls.payment}/accounts/${this.#rich}`);
        return { ...seen, balanceCents: account.balanceCents };
      },
      (seen) => Object.entries({ ...stock, balanceCents }).every(([field, value]) => seen[field] === value),
      `stock and money to be ${JSON.stringify({ ...stock, balanceCents })}`,
    );
  }

  async #put(url, body) {
    return this.#request(url, { method: 'PUT', body });
  }

  async #post(url, body, key = randomUUID()) {
    return this.#request(url, { method: 'POST', body, headers: { 'idempotency-key': key } });
  }

  async #request(url, { method = 'GET', body, headers = {} } = {}) {
    const response = await fetch(url, {
      method,
      headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { url, status: response.status, body: await response.json() };
  }

  #expect(wanted, { url, status, body }) {
    require(status === wanted, `${url} was answered ${status} instead of ${wanted}: ${body.detail ?? ''}`);
  }
}

async function until(look, isWanted, what) {
  const deadline = performance.now() + LIMIT_MS;
  let seen = await look();
  while (!isWanted(seen)) {
    require(performance.now() <
      deadline, `waited ${LIMIT_MS / 1_000} s for ${what}; last seen: ${JSON.stringify(seen)}`);
    await sleep(POLL_MS);
    seen = await look();
  }
  return seen;
}

function require(isTrue, otherwise) {
  if (!isTrue) {
    throw new CommandError(`Not verified: ${otherwise}.`);
  }
}
