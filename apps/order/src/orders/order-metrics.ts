import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';

/** What this process did to orders, by what it made of them. */
export type OrderOutcome = 'placed' | 'confirmed' | 'rejected' | 'cancelled' | 'refund-requested';

/** Every metric that the order feature owns; the HTTP and inbox metrics are those of every service. */
export const ORDER_CHANGES = {
  name: 'millrace_order_changes_total',
  help: 'Changes of orders that were committed with their event, by what became of the order',
  labelNames: ['outcome'],
} as const;

/** Counts what happens to orders. */
@Injectable()
export class OrderMetrics {
  private readonly changes: Counter<'outcome'>;

  constructor(registry: Registry) {
    this.changes = new Counter({ ...ORDER_CHANGES, registers: [registry] });
  }

  /** To be called after the commit. */
  count(outcome: OrderOutcome): void {
    this.changes.inc({ outcome });
  }
}
