import { Random } from './random.mjs';

const PLENTY = 1_000_000_000;

/** What is ordered: some that all want, some that run out, some that were never there. `weight` is of the draw. */
const ARTICLES = [
  ...articles('hot', 3, { weight: 12, onHand: PLENTY }),
  ...articles('shelf', 12, { weight: 3, onHand: PLENTY }),
  ...articles('scarce', 3, { weight: 2, onHand: 40 }),
  ...articles('empty', 1, { weight: 2, onHand: 0 }),
];

/** Who orders: most have money, some little, some none. */
const CUSTOMERS = [
  ...customers('rich', 40, { weight: 10, balanceCents: PLENTY * 1_000 }),
  ...customers('modest', 6, { weight: 4, balanceCents: 20_000 }),
  ...customers('poor', 4, { weight: 3, balanceCents: 0 }),
];

const SHARE = { cancelled: 0.06, repeated: 0.03, repeatedOtherwise: 0.01, delivery: 0.02, deposit: 0.02 };
const CANCEL_WITHIN_MS = 250;

/**
 * The whole demo as a function of its seed: the stock and the accounts to begin with, and one order after the other.
 * Names begin with `run`, so that every run has stock and customers of its own.
 */
export class Plan {
  #random;
  #drawArticle;
  #drawCustomer;

  constructor(seed, run) {
    this.#random = new Random(seed);
    this.stock = ARTICLES.map((article) => ({ ...article, sku: `${run}-${article.name}` }));
    this.accounts = CUSTOMERS.map((customer) => ({ ...customer, customerId: `${run}-${customer.name}` }));
    this.#drawArticle = weighted(this.stock);
    this.#drawCustomer = weighted(this.accounts);
  }

  /** The next order, and what else happens at its time. */
  next() {
    const random = this.#random;
    const order = {
      body: { customerId: this.#drawCustomer(random).customerId, lines: this.#lines() },
      cancelAfterMs: random.chance(SHARE.cancelled) ? random.between(0, CANCEL_WITHIN_MS) : undefined,
      isRepeated: random.chance(SHARE.repeated),
      isRepeatedOtherwise: random.chance(SHARE.repeatedOtherwise),
    };
    return { order, delivery: this.#delivery(), deposit: this.#deposit() };
  }

  #lines() {
    const random = this.#random;
    const chosen = new Map();
    for (let wanted = random.between(1, 3); wanted > 0; wanted -= 1) {
      const { sku, priceCents } = this.#drawArticle(random);
      chosen.set(sku, { sku, quantity: random.between(1, 3), unitPriceCents: priceCents });
    }
    return [...chosen.values()];
  }

  /** Pieces that come in for an article that is often out of stock. */
  #delivery() {
    const random = this.#random;
    const scarce = this.stock.filter(({ name }) => name.startsWith('scarce'));
    return random.chance(SHARE.delivery)
      ? { sku: random.pick(scarce).sku, quantity: random.between(5, 20) }
      : undefined;
  }

  /** Money that comes in for a customer who is often short of it. */
  #deposit() {
    const random = this.#random;
    const modest = this.accounts.filter(({ name }) => name.startsWith('modest'));
    return random.chance(SHARE.deposit)
      ? { customerId: random.pick(modest).customerId, amountCents: random.between(1_000, 20_000) }
      : undefined;
  }
}

function articles(name, count, rest) {
  return numbered(name, count).map((one, index) => ({ name: one, priceCents: 250 * (index + 1), ...rest }));
}

function customers(name, count, rest) {
  return numbered(name, count).map((one) => ({ name: one, ...rest }));
}

function numbered(name, count) {
  return Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
}

/** Draws each of the list as often as its weight says. */
function weighted(list) {
  const drawn = list.flatMap((one) => Array.from({ length: one.weight }, () => one));
  return (random) => random.pick(drawn);
}
