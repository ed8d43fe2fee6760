import {
  OrderCancelled,
  OrderRefundRequested,
  PaymentCaptured,
  PaymentDeclined,
  PaymentRefunded,
  StockReserved,
} from '@millrace/contracts';
import { causedBy, HandleEvent, Park, type ReceivedEvent, type Transaction } from '@millrace/inbox';
import { Outbox } from '@millrace/outbox';
import { Injectable } from '@nestjs/common';

import { buryOrder, charge, type Contradiction, refund } from './payment-desk.js';
import { PaymentMetrics } from './payment-metrics.js';

/** What only a person can sort out: the services disagree on the money of an order. */
const REASONS: Readonly<Record<Contradiction, string>> = {
  'charged-otherwise':
    'The order was charged before, for another customer or amount. Find out which stock.reserved is right, then skip this one.',
  'refund-without-payment':
    'A refund was requested for an order that was never charged. Was the database of a service restored?',
  'refund-of-declined':
    'A refund was requested for an order whose charge was declined. Was the database of a service restored?',
  'refund-of-other-amount':
    'A refund was requested of another amount than was captured. Only the whole amount can be given back.',
};

/** What the service does about the events of others: the payment rows of the choreography. */
@Injectable()
export class PaymentEvents {
  constructor(
    private readonly outbox: Outbox,
    private readonly metrics: PaymentMetrics,
  ) {}

  /** The goods are reserved: charges the customer, once per order, and tells whether that worked. */
  @HandleEvent(StockReserved)
  async charge(event: ReceivedEvent<typeof StockReserved>, tx: Transaction): Promise<void> {
    const { orderId, customerId, totalCents: amountCents } = event.payload;
    const outcome = await charge(tx.manager, { orderId, customerId, amountCents });
    switch (outcome.kind) {
      case 'captured': {
        const { paymentId, version: aggregateVersion } = outcome;
        const options = { ...causedBy(event), aggregateVersion };
        await this.outbox.publish(tx, PaymentCaptured, { orderId, paymentId, amountCents }, options);
        this.metrics.count('captured');
        return;
      }
      case 'declined': {
        const options = { ...causedBy(event), aggregateVersion: outcome.version };
        await this.outbox.publish(tx, PaymentDeclined, { orderId, reason: outcome.reason }, options);
        this.metrics.count('declined');
        return;
      }
      case 'repeated':
        return;
      case 'contradiction':
        throw new Park(outcome.code, REASONS[outcome.code]);
    }
  }

  /**
   * Leaves a tombstone, on which a charge that comes later declines itself. What was captured before stays captured:
   * the order service alone orders the refund, when it hears of the capture.
   */
  @HandleEvent(OrderCancelled)
  async refuseLaterCharge({ payload }: ReceivedEvent<typeof OrderCancelled>, tx: Transaction): Promise<void> {
    await buryOrder(tx.manager, payload.orderId);
  }

  /** Gives the money back, once per order, and tells so. */
  @HandleEvent(OrderRefundRequested)
  async refund(event: ReceivedEvent<typeof OrderRefundRequested>, tx: Transaction): Promise<void> {
    const { orderId, amountCents } = event.payload;
    const outcome = await refund(tx.manager, { orderId, amountCents });
    switch (outcome.kind) {
      case 'refunded': {
        const { paymentId, version: aggregateVersion } = outcome;
        const options = { ...causedBy(event), aggregateVersion };
        await this.outbox.publish(tx, PaymentRefunded, { orderId, paymentId, amountCents }, options);
        this.metrics.count('refunded');
        return;
      }
      case 'repeated':
        return;
      case 'contradiction':
        throw new Park(outcome.code, REASONS[outcome.code]);
    }
  }
}
