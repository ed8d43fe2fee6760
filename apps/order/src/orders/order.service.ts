import { ORDER_AGGREGATE, OrderPlaced, totalCentsOf } from '@millrace/contracts';
import {
  type Answer,
  encodeConsistencyToken,
  type IdempotentAnswer,
  IdempotencyKeys,
  type IdempotentRequest,
  ProblemError,
} from '@millrace/http';
import { Outbox, type PublishedEvent } from '@millrace/outbox';
import { Database, SOURCE_NAME } from '@millrace/service';
import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager, type FindOptionsWhere, LessThan } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';

import {
  type ListOrders,
  type OrderAccepted,
  type OrderCancelledAnswer,
  type OrderPage,
  type OrderView,
  type PlaceOrder,
} from './order-api.js';
import { OrderChanges } from './order-changes.js';
import { decodeCursor, encodeCursor } from './order-cursor.js';
import { OrderMetrics } from './order-metrics.js';
import { toOrderView } from './order-view.js';
import { OrderEntity, OrderLineEntity } from './order.entity.js';

/** The topic that the relay sends the events of an aggregate to. */
const ORDER_TOPIC = `outbox.event.${ORDER_AGGREGATE}`;

@Injectable()
export class OrderService {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly idempotencyKeys: IdempotencyKeys,
    private readonly changes: OrderChanges,
    private readonly metrics: OrderMetrics,
    @Inject(SOURCE_NAME) private readonly source: string,
  ) {}

  /** Order, lines, event and the answer to the key commit together or not at all. */
  async place(request: IdempotentRequest, wish: PlaceOrder): Promise<IdempotentAnswer> {
    const answer = await this.database.write(
      async (manager) =>
        await this.idempotencyKeys.answerOnce(manager, request, wish, async () => await this.accept(manager, wish)),
    );
    if (!answer.isReplayed) {
      this.metrics.count('placed');
    }
    return answer;
  }

  /** Only a pending order; under its row's lock, so a payment that is told at the same time comes before or after. */
  async cancel(request: IdempotentRequest, id: string): Promise<IdempotentAnswer> {
    const answer = await this.database.write(
      async (manager) =>
        await this.idempotencyKeys.answerOnce(
          manager,
          request,
          undefined,
          async () => await this.takeBack(manager, id),
        ),
    );
    if (!answer.isReplayed) {
      this.metrics.count('cancelled');
    }
    return answer;
  }

  async get(id: string): Promise<OrderView> {
    const order = await this.database.read(
      async (manager) => await manager.findOne(OrderEntity, { where: { id }, relations: { lines: true } }),
    );
    if (order === null) {
      throw unknownOrder();
    }
    return toOrderView(order);
  }

  /** Newest first. An order that is placed between two pages is before the first one, so no page repeats or skips. */
  async list({ customerId, status, cursor, limit }: ListOrders): Promise<OrderPage> {
    const where: FindOptionsWhere<OrderEntity> = {
      ...(customerId === undefined ? {} : { customerId }),
      ...(status === undefined ? {} : { status }),
      ...(cursor === undefined ? {} : { id: LessThan(idOfCursor(cursor)) }),
    };
    const orders = await this.database.read(
      async (manager) =>
        await manager.find(OrderEntity, {
          where,
          order: { id: 'desc' },
          take: limit + 1,
          relations: { lines: true },
          relationLoadStrategy: 'query',
        }),
    );
    const items = orders.slice(0, limit).map(toOrderView);
    const last = items.at(-1);
    return { items, nextCursor: orders.length > limit && last !== undefined ? encodeCursor(last.id) : null };
  }

  private async accept(manager: EntityManager, { customerId, lines }: PlaceOrder): Promise<Answer> {
    const id = uuidv7();
    const totalCents = totalCentsOf(lines);
    const version = 1;
    await manager.insert(OrderEntity, {
      id,
      customerId,
      status: 'pending',
      reason: null,
      totalCents,
      version,
      isRefundRequested: false,
    });
    await manager.insert(
      OrderLineEntity,
      lines.map((line, index) => ({ orderId: id, lineNumber: index + 1, ...line })),
    );
    const events = await this.outbox.publish(
      manager,
      OrderPlaced,
      { orderId: id, customerId, lines, totalCents },
      { aggregateVersion: version },
    );
    const body: OrderAccepted = { id, status: 'pending', totalCents };
    return { status: 202, headers: { Location: `/orders/${id}`, ...this.tokenOf(id, events) }, body };
  }

  private async takeBack(manager: EntityManager, id: string): Promise<Answer> {
    const order = await this.changes.lock(manager, id);
    if (order === null) {
      throw unknownOrder();
    }
    if (order.status !== 'pending') {
      throw new ProblemError('conflict', `The order is ${order.status}: only a pending one can be cancelled.`);
    }
    const events = await this.changes.apply(manager, order, { kind: 'cancel' });
    const body: OrderCancelledAnswer = { id, status: 'cancelled' };
    return { status: 202, headers: this.tokenOf(id, events), body };
  }

  private tokenOf(orderId: string, events: readonly PublishedEvent[]): Record<string, string> {
    const marks = events.map(({ position }) => ({ source: this.source, topic: ORDER_TOPIC, key: orderId, position }));
    return { 'Consistency-Token': encodeConsistencyToken(marks) };
  }
}

function unknownOrder(): ProblemError {
  return new ProblemError('not-found', 'No order has this id.');
}

function idOfCursor(cursor: string): string {
  const id = decodeCursor(cursor);
  if (id === undefined) {
    throw new ProblemError('invalid-request', 'The cursor is not one of this API.', {
      errors: [{ path: 'cursor', message: 'cursor must be the nextCursor of an earlier page' }],
    });
  }
  return id;
}
