import { PaymentCaptured, PaymentDeclined, StockRefused } from '@millrace/contracts';
import { causedBy, HandleEvent, Park, type ReceivedEvent, type Transaction } from '@millrace/inbox';
import { Injectable } from '@nestjs/common';

import { OrderChanges } from './order-changes.js';
import { OrderMetrics, type OrderOutcome } from './order-metrics.js';
import { type OrderChange, type OrderFact, transitionOf } from './order-transition.js';

const OUTCOMES: Readonly<Record<OrderChange['kind'], OrderOutcome>> = {
  confirm: 'confirmed',
  reject: 'rejected',
  cancel: 'cancelled',
  'request-refund': 'refund-requested',
};

/** What the order service does when stock and payment answer. Each fact meets the order under its row's lock. */
@Injectable()
export class OrderChoreography {
  constructor(
    private readonly changes: OrderChanges,
    private readonly metrics: OrderMetrics,
  ) {}

  @HandleEvent(StockRefused)
  async refuse(event: ReceivedEvent<typeof StockRefused>, tx: Transaction): Promise<void> {
    const { orderId, reason } = event.payload;
    await this.apply(event, tx, orderId, { kind: 'stock-refused', reason });
  }

  @HandleEvent(PaymentDeclined)
  async decline(event: ReceivedEvent<typeof PaymentDeclined>, tx: Transaction): Promise<void> {
    const { orderId, reason } = event.payload;
    await this.apply(event, tx, orderId, { kind: 'payment-declined', reason });
  }

  @HandleEvent(PaymentCaptured)
  async capture(event: ReceivedEvent<typeof PaymentCaptured>, tx: Transaction): Promise<void> {
    const { orderId, amountCents } = event.payload;
    await this.apply(event, tx, orderId, { kind: 'payment-captured', amountCents });
  }

  private async apply(
    event: Pick<ReceivedEvent, 'id' | 'headers'>,
    { manager }: Transaction,
    orderId: string,
    fact: OrderFact,
  ): Promise<void> {
    const order = await this.changes.lock(manager, orderId);
    if (order === null) {
      throw new Park('order-unknown', 'This service has no such order: its database was restored, or is another one.');
    }
    const transition = transitionOf(order, fact);
    switch (transition.kind) {
      case 'change':
        await this.changes.apply(manager, order, transition.change, causedBy(event));
        this.metrics.count(OUTCOMES[transition.change.kind]);
        return;
      case 'unchanged':
        return;
      case 'impossible':
        throw new Park(transition.code, transition.reason);
    }
  }
}
