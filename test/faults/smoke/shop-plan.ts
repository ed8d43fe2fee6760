import { Random } from '../../ledger/random.js';

/** An article as the shop begins with it. */
export interface Article {
  readonly sku: string;
  readonly onHand: number;
  readonly priceCents: number;
  readonly weight: number;
}

/** A customer's account as the shop begins with it. */
export interface Customer {
  readonly customerId: string;
  readonly balanceCents: number;
  readonly weight: number;
}

export interface Line {
  readonly sku: string;
  readonly quantity: number;
  readonly unitPriceCents: number;
}

/** The body of an order. */
export interface OrderBody {
  readonly customerId: string;
  readonly lines: readonly Line[];
}

/** An order, and what its customer does about it. */
export interface OrderWish {
  readonly body: OrderBody;
  /** The request is made by two connections at once, with one key. */
  readonly isTwin: boolean;
  /** Made again with its key once it was answered. */
  readonly isRepeated: boolean;
  /** Cancellations, each with a key of its own, in milliseconds after the order was accepted. */
  readonly cancelsAfterMs: readonly number[];
}

/** What happens beside the orders. */
export type SideWish =
  | { readonly kind: 'adjust'; readonly sku: string; readonly quantity: number }
  | { readonly kind: 'count'; readonly sku: string; readonly difference: number }
  | { readonly kind: 'deposit'; readonly customerId: string };

const PLENTY = 1_000_000_000;

/** Some that everybody wants, some that run out and come in again, one that was never there, one that costs nothing. */
const ARTICLES: readonly Article[] = [
  ...numbered('hot', 3).map((sku) => ({ sku, onHand: PLENTY, priceCents: 500, weight: 14 })),
  ...numbered('shelf', 16).map((sku, index) => ({ sku, onHand: PLENTY, priceCents: 250 * (index + 1), weight: 3 })),
  ...numbered('scarce', 4).map((sku) => ({ sku, onHand: 30, priceCents: 900, weight: 3 })),
  { sku: 'empty', onHand: 0, priceCents: 100, weight: 2 },
  { sku: 'gift', onHand: PLENTY, priceCents: 0, weight: 2 },
];

/** Orders name it, and it does not exist. */
const UNKNOWN_ARTICLE: Article = { sku: 'never-heard-of', onHand: 0, priceCents: 100, weight: 1 };

const CUSTOMERS: readonly Customer[] = [
  ...numbered('rich', 30).map((customerId) => ({ customerId, balanceCents: PLENTY, weight: 8 })),
  ...numbered('modest', 8).map((customerId) => ({ customerId, balanceCents: 20_000, weight: 6 })),
  ...numbered('poor', 4).map((customerId) => ({ customerId, balanceCents: 0, weight: 4 })),
];

const UNKNOWN_CUSTOMER: Customer = { customerId: 'nobody', balanceCents: 0, weight: 3 };

const ODDS = { cancel: 9, secondCancel: 8, lateCancel: 2, twin: 30, repeat: 25, adjust: 12, count: 40, deposit: 12 };
const LINES_MAX = 3;
const QUANTITY_MAX = 3;
const CANCEL_SOON_MS = 250;
const CANCEL_LATE_MS = 4_000;

/** The shop of a seed: what it begins with, and one wish after the other. */
export class ShopPlan {
  readonly articles = ARTICLES;
  readonly customers = CUSTOMERS;
  private readonly random: Random;
  private readonly drawArticle: () => Article;
  private readonly drawCustomer: () => Customer;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.drawArticle = weighted([...ARTICLES, UNKNOWN_ARTICLE], this.random);
    this.drawCustomer = weighted([...CUSTOMERS, UNKNOWN_CUSTOMER], this.random);
  }

  nextOrder(): OrderWish {
    const { random } = this;
    const lines = Array.from({ length: 1 + random.below(LINES_MAX) }, () => {
      const { sku, priceCents } = this.drawArticle();
      return { sku, quantity: 1 + random.below(QUANTITY_MAX), unitPriceCents: priceCents };
    });
    return {
      body: { customerId: this.drawCustomer().customerId, lines },
      isTwin: random.isOneIn(ODDS.twin),
      isRepeated: random.isOneIn(ODDS.repeat),
      cancelsAfterMs: this.nextCancels(),
    };
  }

  /** What goes on beside an order, most often nothing. */
  nextSides(): readonly SideWish[] {
    const { random } = this;
    const wishes: SideWish[] = [];
    if (random.isOneIn(ODDS.adjust)) {
      // what goes is hardly ever refused, so that the stock stays scarce and not gone
      const quantity = random.isOneIn(4) ? -1 - random.below(3) : 1 + random.below(12);
      wishes.push({ kind: 'adjust', sku: this.pick(random.isOneIn(3) ? 'hot' : 'scarce'), quantity });
    }
    if (random.isOneIn(ODDS.count)) {
      wishes.push({ kind: 'count', sku: this.pick('scarce'), difference: random.below(20) - 6 });
    }
    if (random.isOneIn(ODDS.deposit)) {
      const modest = CUSTOMERS.filter(({ customerId }) => customerId.startsWith('modest'));
      wishes.push({ kind: 'deposit', customerId: modest[random.below(modest.length)]?.customerId ?? '' });
    }
    return wishes;
  }

  private nextCancels(): readonly number[] {
    const { random } = this;
    if (!random.isOneIn(ODDS.cancel)) {
      return [];
    }
    const afterMs = random.below(random.isOneIn(ODDS.lateCancel) ? CANCEL_LATE_MS : CANCEL_SOON_MS);
    return random.isOneIn(ODDS.secondCancel) ? [afterMs, afterMs] : [afterMs];
  }

  private pick(kind: string): string {
    const some = ARTICLES.filter(({ sku }) => sku.startsWith(kind));
    return some[this.random.below(some.length)]?.sku ?? '';
  }
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
}

/** Draws each of the list as often as its weight says. */
function weighted<Item extends { readonly weight: number }>(list: readonly Item[], random: Random): () => Item {
  const drawn = list.flatMap((item) => Array.from({ length: item.weight }, () => item));
  const [first] = drawn;
  if (first === undefined) {
    throw new Error('There is nothing to draw from.');
  }
  return () => drawn[random.below(drawn.length)] ?? first;
}
