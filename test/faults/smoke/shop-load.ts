import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type ApiAnswer, type ApiRequest } from '../../harness/api-client.js';
import { type OrderWish } from './shop-plan.js';
import { isSameAnswer, keptAnswer } from './shop-truth.js';
import { type LoadParts, SideWork } from './side-work.js';

/** Beyond this many open requests the loop waits, and catches up as soon as there is room. */
const IN_FLIGHT_MAX = 120;
const OPENED_AT_ONCE = 8;
const REPEATS_AFTERWARDS = 200;
type MaybeAsked = ApiAnswer | Promise<ApiAnswer> | undefined;

const acceptedSchema = z.object({ id: z.uuid(), status: z.literal('pending'), totalCents: z.int() });

/**
 * Orders at a steady rate, whatever becomes of the earlier ones (an open loop), with cancellations, repeats and what
 * goes on in the warehouse and at the bank. Writes down in `truth` what was answered.
 */
export class ShopLoad {
  placed = 0;
  private readonly working = new Set<Promise<void>>();
  private readonly sides: SideWork;

  constructor(private readonly parts: LoadParts) {
    this.sides = new SideWork(parts);
  }

  get openRequests(): number {
    return this.working.size;
  }

  /** Fills the stock and opens the accounts. */
  async open(): Promise<void> {
    const { plan, client, urlOf } = this.parts;
    const puts: ApiRequest[] = [
      ...plan.articles.map(({ sku, onHand }) => ({
        method: 'PUT' as const,
        url: `${urlOf('inventory')}/stock/${sku}`,
        body: { onHand },
      })),
      ...plan.customers.map(({ customerId, balanceCents }) => ({
        method: 'PUT' as const,
        url: `${urlOf('payment')}/accounts/${customerId}`,
        body: { balanceCents },
      })),
    ];
    while (puts.length > 0) {
      const answers = await Promise.all(puts.splice(0, OPENED_AT_ONCE).map(async (put) => client.answer(put)));
      const refused = answers.find(({ status }) => status !== 200);
      if (refused !== undefined) {
        throw new Error(`The shop could not be opened: ${refused.text}`);
      }
    }
  }

  /** Resolves when so many orders have been placed; the last requests may still be under way. */
  async run(orders: number, perSecond: number): Promise<void> {
    const startedMs = performance.now();
    while (this.placed < orders) {
      const dueMs = startedMs + (this.placed / perSecond) * 1_000;
      await sleep(Math.max(0, dueMs - performance.now()));
      while (this.working.size >= IN_FLIGHT_MAX) {
        await Promise.race(this.working);
      }
      this.placed += 1;
      this.track(this.place(this.parts.plan.nextOrder()));
      this.parts.plan.nextSides().forEach((wish) => {
        this.track(this.sides.do(wish));
      });
    }
  }

  /** Resolves when every request is answered. */
  async drained(): Promise<void> {
    while (this.working.size > 0) {
      await Promise.all(this.working);
    }
  }

  /** Makes requests of all the run again with their keys: they must be answered as they were. */
  async repeatSome(): Promise<void> {
    const { truth, client } = this.parts;
    const every = Math.max(1, Math.floor(truth.orders.size / REPEATS_AFTERWARDS));
    const some = [...truth.orders.values()].filter((_order, index) => index % every === 0);
    for (const { id, key, body, answer } of some) {
      const again = await client.answer({ method: 'POST', url: this.ordersUrl, body, key });
      truth.tallies.repeated += 1;
      if (!isSameAnswer(answer, keptAnswer(again))) {
        truth.wrong(`order ${id}: its request, made again after the run, was answered otherwise: ${again.text}`);
      }
    }
    const [first] = some;
    const other = { customerId: 'somebody-else', lines: first?.body.lines ?? [] };
    const reused = await client.answer({ method: 'POST', url: this.ordersUrl, body: other, key: first?.key ?? '' });
    if (reused.status !== 422) {
      truth.wrong(`another order with the key of order ${first?.id ?? ''} was answered ${reused.status}`);
    }
  }

  private get ordersUrl(): string {
    return `${this.parts.urlOf('order')}/orders`;
  }

  /** Never rejects: what goes wrong is part of the truth. */
  private track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => {
        this.parts.truth.wrong(String(error));
      })
      .finally(() => this.working.delete(tracked));
    this.working.add(tracked);
  }

  private async place({ body, isTwin, isRepeated, cancelsAfterMs }: OrderWish): Promise<void> {
    const { truth, client } = this.parts;
    const request: ApiRequest = { method: 'POST', url: this.ordersUrl, body, key: randomUUID() };
    const [first, twin] = await Promise.all([client.answer(request), isTwin ? client.answer(request) : undefined]);
    const accepted = acceptedSchema.safeParse(first.body);
    if (first.status !== 202 || !accepted.success) {
      truth.wrong(`an order was answered ${first.status}: ${first.text}`);
      return;
    }
    const { id } = accepted.data;
    const answer = keptAnswer(first);
    truth.orders.set(id, { id, key: request.key ?? '', body, answer, acceptedAt: new Date(), cancels: [] });
    await Promise.all([
      this.compare(id, first, twin),
      this.compare(id, first, isRepeated ? client.answer(request) : undefined),
      ...cancelsAfterMs.map(async (afterMs) => this.cancel(id, afterMs, isRepeated)),
    ]);
    truth.tallies.twins += Number(isTwin);
    truth.tallies.repeated += Number(isRepeated);
  }

  private async cancel(id: string, afterMs: number, isRepeated: boolean): Promise<void> {
    await sleep(afterMs);
    const { truth, client } = this.parts;
    const request: ApiRequest = { method: 'POST', url: `${this.ordersUrl}/${id}/cancel`, key: randomUUID() };
    const first = await client.answer(request);
    truth.orders.get(id)?.cancels.push({ answeredAt: new Date(), status: first.status });
    if (first.status === 202) {
      truth.tallies.cancelsTaken += 1;
      await this.compare(id, first, isRepeated ? client.answer(request) : undefined);
    } else if (first.status === 409) {
      truth.tallies.cancelsLate += 1;
    } else {
      truth.wrong(`order ${id}: its cancellation was answered ${first.status}: ${first.text}`);
    }
  }

  private async compare(id: string, first: ApiAnswer, asked: MaybeAsked): Promise<void> {
    const again = await asked;
    if (again !== undefined && !isSameAnswer(keptAnswer(first), keptAnswer(again))) {
      this.parts.truth.wrong(`order ${id}: the same key was answered ${first.text} and ${again.text}`);
    }
  }
}
