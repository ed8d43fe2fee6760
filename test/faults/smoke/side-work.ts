import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type ApiClient } from '../../harness/api-client.js';
import { type Service } from '../../harness/shop.js';
import { type ShopPlan, type SideWish } from './shop-plan.js';
import { type ShopTruth } from './shop-truth.js';

/** What the load is given. */
export interface LoadParts {
  readonly plan: ShopPlan;
  readonly truth: ShopTruth;
  readonly client: ApiClient;
  readonly urlOf: (service: Service) => string;
}

const stockSchema = z.object({ onHand: z.int(), reserved: z.int() });
const LEAST_DEPOSIT_CENTS = 3_000;

/** What goes on beside the orders: deliveries, losses, counts of the stock, deposits. */
export class SideWork {
  private readonly beingCounted = new Set<string>();
  private made = 0;

  constructor(private readonly parts: LoadParts) {}

  async do(wish: SideWish): Promise<void> {
    this.made += 1;
    switch (wish.kind) {
      case 'adjust':
        await this.adjust(wish.sku, wish.quantity, `movement ${this.made}`);
        return;
      case 'count':
        await this.count(wish.sku, wish.difference);
        return;
      case 'deposit':
        await this.deposit(wish.customerId, LEAST_DEPOSIT_CENTS + this.made);
        return;
    }
  }

  private async adjust(sku: string, quantity: number, reason: string): Promise<void> {
    const { truth, client, urlOf } = this.parts;
    const url = `${urlOf('inventory')}/stock/${sku}/adjustments`;
    const answer = await client.answer({ method: 'POST', url, body: { quantity, reason }, key: randomUUID() });
    if (answer.status === 200) {
      truth.adjustments.set(reason, { sku, quantity });
    } else if (answer.status === 409 && quantity < 0) {
      truth.tallies.refusedSides += 1;
    } else {
      truth.wrong(`an adjustment of ${sku} was answered ${answer.status}: ${answer.text}`);
    }
  }

  /** Reads, and sets what is on hand if nobody was faster. One at a time for an article. */
  private async count(sku: string, difference: number): Promise<void> {
    if (this.beingCounted.has(sku)) {
      return;
    }
    this.beingCounted.add(sku);
    try {
      await this.countAlone(sku, difference);
    } finally {
      this.beingCounted.delete(sku);
    }
  }

  private async countAlone(sku: string, difference: number): Promise<void> {
    const { truth, client, urlOf } = this.parts;
    const url = `${urlOf('inventory')}/stock/${sku}`;
    const seen = await client.answer({ method: 'GET', url });
    const { onHand, reserved } = stockSchema.parse(seen.body);
    const ifMatch = seen.headers.get('etag') ?? '';
    const wanted = { sku, quantity: Math.max(difference, reserved - onHand), version: 1 + versionOf(ifMatch) };
    const put = { method: 'PUT', url, body: { onHand: onHand + wanted.quantity }, ifMatch } as const;
    const answer = await client.answer(put);
    if (wanted.quantity === 0) {
      return;
    }
    if (answer.status === 200) {
      truth.counts.push(wanted);
    } else if (answer.status === 412) {
      truth.tallies.refusedSides += 1;
      if (!answer.isFirst) {
        truth.unsureCounts.push(wanted);
      }
    } else {
      truth.wrong(`a count of ${sku} was answered ${answer.status}: ${answer.text}`);
    }
  }

  private async deposit(customerId: string, amountCents: number): Promise<void> {
    const { truth, client, urlOf } = this.parts;
    const url = `${urlOf('payment')}/accounts/${customerId}/deposits`;
    const answer = await client.answer({ method: 'POST', url, body: { amountCents }, key: randomUUID() });
    if (answer.status === 200) {
      const known = truth.deposits.get(customerId) ?? new Set();
      truth.deposits.set(customerId, known.add(amountCents));
    } else {
      truth.wrong(`a deposit for ${customerId} was answered ${answer.status}: ${answer.text}`);
    }
  }
}

/** An entity tag of a version is the version in quotes. */
function versionOf(etag: string): number {
  return Number(/^"(\d+)"$/.exec(etag)?.[1]);
}
