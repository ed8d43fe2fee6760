import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';

/** What an event did to a payment. */
export const PAYMENT_OUTCOMES = ['captured', 'declined', 'refunded'] as const;

/** What an event did to a payment. */
export type PaymentOutcome = (typeof PAYMENT_OUTCOMES)[number];

/** Every metric that the payment feature owns; the HTTP and inbox metrics are those of every app. */
export const PAYMENT_CHANGES = {
  name: 'millrace_payment_changes_total',
  help: 'Charges and refunds, by what became of the payment; one that was rolled back and done again counts again',
  labelNames: ['outcome'],
} as const;

/** Counts what happens to payments. */
@Injectable()
export class PaymentMetrics {
  private readonly changes: Counter<'outcome'>;

  constructor(registry: Registry) {
    this.changes = new Counter({ ...PAYMENT_CHANGES, registers: [registry] });
    for (const outcome of PAYMENT_OUTCOMES) {
      this.changes.inc({ outcome }, 0);
    }
  }

  count(outcome: PaymentOutcome): void {
    this.changes.inc({ outcome });
  }
}
