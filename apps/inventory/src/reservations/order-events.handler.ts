import { OrderCancelled, OrderConfirmed, OrderPlaced, OrderRejected } from '@millrace/contracts';
import { HandleEvent, type ReceivedEvent, type Transaction } from '@millrace/inbox';
import { Injectable } from '@nestjs/common';

import { ReservationBook } from './reservation-book.js';

/** What the inventory does about the events of an order. */
@Injectable()
export class OrderEventsHandler {
  constructor(private readonly reservations: ReservationBook) {}

  @HandleEvent(OrderPlaced)
  async reserve(event: ReceivedEvent<typeof OrderPlaced>, tx: Transaction): Promise<void> {
    await this.reservations.reserve(tx, event);
  }

  @HandleEvent(OrderConfirmed)
  async sell(event: ReceivedEvent<typeof OrderConfirmed>, tx: Transaction): Promise<void> {
    await this.reservations.end(tx, event, 'sold');
  }

  @HandleEvent(OrderRejected)
  async releaseRejected(event: ReceivedEvent<typeof OrderRejected>, tx: Transaction): Promise<void> {
    await this.reservations.end(tx, event, 'released');
  }

  @HandleEvent(OrderCancelled)
  async releaseCancelled(event: ReceivedEvent<typeof OrderCancelled>, tx: Transaction): Promise<void> {
    await this.reservations.end(tx, event, 'released');
  }
}
