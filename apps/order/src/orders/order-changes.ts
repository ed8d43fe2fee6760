import { OrderCancelled, OrderConfirmed, OrderRefundRequested, OrderRejected } from '@millrace/contracts';
import { Outbox, type PublishedEvent, type PublishOptions } from '@millrace/outbox';
import { Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';

import { type OrderChange } from './order-transition.js';
import { OrderEntity } from './order.entity.js';

/** Changes orders, each change with its event: the row first, so that the events of an order stand in their order. */
@Injectable()
export class OrderChanges {
  constructor(private readonly outbox: Outbox) {}

  /** The order, locked until the transaction ends: whoever else wants to change it waits, then sees this change. */
  async lock(manager: EntityManager, id: string): Promise<OrderEntity | null> {
    return await manager.findOne(OrderEntity, { where: { id }, lock: { mode: 'pessimistic_write' } });
  }

  /** Makes the next version of an order that is locked in this transaction, and publishes the event of that version. */
  async apply(
    manager: EntityManager,
    { id, version }: Pick<OrderEntity, 'id' | 'version'>,
    change: OrderChange,
    options: Pick<PublishOptions, 'headers'> = {},
  ): Promise<readonly PublishedEvent[]> {
    const next = version + 1;
    await manager.update(OrderEntity, { id }, { ...columnsOf(change), version: next });
    return await this.publish(manager, id, change, { ...options, aggregateVersion: next });
  }

  private async publish(
    manager: EntityManager,
    orderId: string,
    change: OrderChange,
    options: PublishOptions,
  ): Promise<readonly PublishedEvent[]> {
    switch (change.kind) {
      case 'confirm':
        return await this.outbox.publish(manager, OrderConfirmed, { orderId }, options);
      case 'reject':
        return await this.outbox.publish(manager, OrderRejected, { orderId, reason: change.reason }, options);
      case 'cancel':
        return await this.outbox.publish(manager, OrderCancelled, { orderId }, options);
      case 'request-refund': {
        const { amountCents } = change;
        return await this.outbox.publish(manager, OrderRefundRequested, { orderId, amountCents }, options);
      }
    }
  }
}

function columnsOf(change: OrderChange): Partial<Pick<OrderEntity, 'status' | 'reason' | 'isRefundRequested'>> {
  switch (change.kind) {
    case 'confirm':
      return { status: 'confirmed' };
    case 'reject':
      return { status: 'rejected', reason: change.reason };
    case 'cancel':
      return { status: 'cancelled' };
    case 'request-refund':
      return { isRefundRequested: true };
  }
}
