import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';

/** Every metric that the inventory owns; those of HTTP and of the inbox are their libs'. */
export const RESERVATIONS = {
  name: 'millrace_inventory_reservations_total',
  help: 'What became of orders, by outcome; an event that is handled again after a failed commit counts again',
  labelNames: ['outcome'],
} as const;

/** The values of the label `outcome`. */
export const RESERVATION_OUTCOMES = [
  'reserved',
  'out-of-stock',
  'unknown-sku',
  'order-cancelled',
  'sold',
  'released',
  'tombstone',
] as const;

/** What became of an order's reservation. */
export type ReservationOutcome = (typeof RESERVATION_OUTCOMES)[number];

/** Counts what becomes of reservations. */
@Injectable()
export class ReservationMetrics {
  private readonly reservations: Counter<'outcome'>;

  constructor(registry: Registry) {
    this.reservations = new Counter({ ...RESERVATIONS, registers: [registry] });
    for (const outcome of RESERVATION_OUTCOMES) {
      this.reservations.inc({ outcome }, 0);
    }
  }

  /** To be called as the last thing of a step, when all its statements have succeeded. */
  count(outcome: ReservationOutcome): void {
    this.reservations.inc({ outcome });
  }
}
