import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';

/** Every metric that the order feature owns; the HTTP metrics are those of every app. */
export const ORDERS_PLACED = {
  name: 'millrace_orders_placed_total',
  help: 'Orders accepted and committed with their event',
} as const;

/** Counts what happens to orders. */
@Injectable()
export class OrderMetrics {
  private readonly placed: Counter;

  constructor(registry: Registry) {
    this.placed = new Counter({ ...ORDERS_PLACED, registers: [registry] });
  }

  /** To be called after the commit. */
  countPlaced(): void {
    this.placed.inc();
  }
}
