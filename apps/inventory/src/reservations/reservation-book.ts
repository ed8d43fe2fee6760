import {
  type OrderCancelled,
  type OrderConfirmed,
  type OrderPlaced,
  type OrderRejected,
  StockRefused,
  StockReleased,
  StockReserved,
  StockSold,
} from '@millrace/contracts';
import { causedBy, Park, type ReceivedEvent, type Transaction } from '@millrace/inbox';
import { Outbox } from '@millrace/outbox';
import { Injectable } from '@nestjs/common';

import { ReservationMetrics } from './reservation-metrics.js';
import { type Ending, quantitiesBySku, verdictOn } from './reservation-rules.js';
import { type ReservationStatus } from './reservation.entity.js';
import {
  END_RESERVATION,
  INSERT_RESERVATION,
  INSERT_TOMBSTONE,
  LOCK_RESERVATION,
  REFUSE_RESERVATION,
  REFUSE_TOMBSTONE,
  RELEASE_STOCK,
  RESERVE_STOCK,
  SELL_STOCK,
} from './reservation.sql.js';

type Placed = ReceivedEvent<typeof OrderPlaced>;

/** An event that ends an order. */
type Ended =
  ReceivedEvent<typeof OrderConfirmed> | ReceivedEvent<typeof OrderRejected> | ReceivedEvent<typeof OrderCancelled>;

/** Why an order gets no stock; the `reason` of `stock.refused`. */
type Refusal = 'out-of-stock' | 'unknown-sku' | 'order-cancelled';

interface ReservationRow {
  readonly status: ReservationStatus;
  readonly customer_id: string | null;
  readonly total_cents: string | null;
  readonly version: number;
}

const STOCK_CHANGES: Readonly<Record<Ending, string>> = { sold: SELL_STOCK, released: RELEASE_STOCK };

/**
 * Reserves stock for orders, and sells or releases what is reserved. Each method is one step of the choreography in the
 * caller's transaction, locks the order's reservation first, then the stock rows in the order of their SKUs, and is
 * right in whatever order and however often the events come. An event carries the version that it made of the
 * reservation and is published under the reservation's lock. Stock rows are locked as late as can be: every order
 * with the same article waits for them.
 */
@Injectable()
export class ReservationBook {
  constructor(
    private readonly outbox: Outbox,
    private readonly metrics: ReservationMetrics,
  ) {}

  /** Reserves all lines or none. An order that has ended before is refused; one that is known already is let be. */
  async reserve(tx: Transaction, event: Placed): Promise<void> {
    const { orderId, customerId, totalCents, lines } = event.payload;
    const { skus, quantities } = quantitiesBySku(lines);
    const created = await tx.query(INSERT_RESERVATION, [orderId, customerId, totalCents, skus, quantities]);
    if (created.length === 0) {
      await this.meetKnown(tx, event);
      return;
    }
    const [taken] = await tx.query<{ outcome: 'reserved' | Refusal }>(RESERVE_STOCK, [skus, quantities]);
    if (taken?.outcome === 'reserved') {
      const options = { ...causedBy(event), aggregateVersion: 1 };
      await this.outbox.publish(tx, StockReserved, { orderId, customerId, totalCents }, options);
      this.metrics.count('reserved');
      return;
    }
    const reason = taken?.outcome ?? 'unknown-sku';
    await tx.query(REFUSE_RESERVATION, [orderId, reason]);
    await this.tellRefusal(tx, event, reason, 1);
  }

  /** Ends a reservation: its stock is sold, or available again. An end that comes before `order.placed` is noted. */
  async end(tx: Transaction, event: Ended, ending: Ending): Promise<void> {
    const { orderId } = event.payload;
    const [ended] = await tx.query<{ version: number }>(END_RESERVATION, [orderId, ending]);
    if (ended === undefined) {
      await this.endOther(tx, event, ending);
      return;
    }
    const contract = ending === 'sold' ? StockSold : StockReleased;
    await this.outbox.publish(tx, contract, { orderId }, { ...causedBy(event), aggregateVersion: ended.version });
    await tx.query(STOCK_CHANGES[ending], [orderId]);
    this.metrics.count(ending);
  }

  /** The order has a row: it ended before it was placed, or this is a repetition. */
  private async meetKnown(tx: Transaction, event: Placed): Promise<void> {
    const { orderId, customerId, totalCents, lines } = event.payload;
    const known = await findLocked(tx, orderId);
    if (known?.status === 'tombstone') {
      const { skus, quantities } = quantitiesBySku(lines);
      const reason: Refusal = 'order-cancelled';
      await tx.query(REFUSE_TOMBSTONE, [orderId, customerId, totalCents, skus, quantities, reason]);
      await this.tellRefusal(tx, event, reason, known.version + 1);
      return;
    }
    if (known?.customer_id !== customerId || Number(known.total_cents) !== totalCents) {
      throw new Park('order-placed-twice', 'The order was placed before, for another customer or with another total.');
    }
  }

  private async tellRefusal(tx: Transaction, event: Placed, reason: Refusal, aggregateVersion: number): Promise<void> {
    const { orderId } = event.payload;
    await this.outbox.publish(tx, StockRefused, { orderId, reason }, { ...causedBy(event), aggregateVersion });
    this.metrics.count(reason);
  }

  private async endOther(tx: Transaction, event: Ended, ending: Ending): Promise<void> {
    const { orderId } = event.payload;
    const verdict = verdictOn(ending, (await findLocked(tx, orderId))?.status ?? 'none');
    switch (verdict.kind) {
      case 'nothing-to-do':
        return;
      case 'leave-tombstone':
        if ((await tx.query(INSERT_TOMBSTONE, [orderId])).length === 0) {
          await this.end(tx, event, ending); // placed at this very moment; rows are never deleted, so this ends
        } else {
          this.metrics.count('tombstone');
        }
        return;
      case 'end-now':
        await this.end(tx, event, ending);
        return;
      case 'impossible':
        throw new Park(verdict.code, verdict.reason);
    }
  }
}

async function findLocked(tx: Transaction, orderId: string): Promise<ReservationRow | undefined> {
  const [row] = await tx.query<ReservationRow>(LOCK_RESERVATION, [orderId]);
  return row;
}
