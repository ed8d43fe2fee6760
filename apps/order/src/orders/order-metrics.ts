import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';

/** What became of an order by a change. */
export const ORDER_OUTCOMES = ['placed', 'confirmed', 'rejected', 'cancelled', 'refund-requested'] as const;

/** What became of an order by a change. */
export type OrderOutcome = (typeof ORDER_OUTCOMES)[number];

/** Every metric that the order feature owns; the HTTP and inbox metrics are those of every service. */
export const ORDER_CHANGES = {
  name: 'millrace_order_changes_total',
  help: 'Changes of orders, by what became of them; one that was rolled back and made again counts again',
  labelNames: ['outcome'],
} as const;

/** Counts what happens to orders. */
@Injectable()
export class OrderMetrics {
  private readonly changes: Counter<'outcome'>;

  constructor(registry: Registry) {
    this.changes = new Counter({ ...ORDER_CHANGES, registers: [registry] });
    for (const outcome of ORDER_OUTCOMES) {
      this.changes.inc({ outcome }, 0);
    }
  }

  /** To be called when all statements of the change have succeeded, better after its commit. */
  count(outcome: OrderOutcome): void {
    this.changes.inc({ outcome });
  }
}
