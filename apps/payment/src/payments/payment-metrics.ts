import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';

/** What an event did to a payment. */
export const PAYMENT_OUTCOMES = ['captured', 'declined', 'refunded'] as const;

/** What an event did to a payment. */
export type PaymentOutcome = (typeof PAYMENT_OUTCOMES)[number];

/** Every metric that the payment feature owns; the HTTP and inbox metrics are those of every app. */
export const PAYMENTS_HANDLED = {
  name: 'millrace_payments_handled_total',
  help: 'Charges and refunds decided, by outcome; one that was rolled back and done again counts again',
  labelNames: ['outcome'],
} as const;

/** Counts what happens to payments. */
@Injectable()
export class PaymentMetrics {
  private readonly handled: Counter<'outcome'>;

  constructor(registry: Registry) {
    this.handled = new Counter({ ...PAYMENTS_HANDLED, registers: [registry] });
    for (const outcome of PAYMENT_OUTCOMES) {
      this.handled.inc({ outcome }, 0);
    }
  }

  count(outcome: PaymentOutcome): void {
    this.handled.inc({ outcome });
  }
}
