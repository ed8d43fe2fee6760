import { OrderCancelled, OrderConfirmed, OrderPlaced, OrderRefundRequested, OrderRejected } from '@millrace/contracts';
import { type ServiceDefinition } from '@millrace/service';

import { Orders1763700000000 } from './migrations/1763700000000-orders.js';
import { orderInvariants } from './orders/order-invariants.js';
import { OrderEntity, OrderLineEntity } from './orders/order.entity.js';

export const orderService: ServiceDefinition = {
  name: 'order',
  title: 'Millrace order service',
  description: 'Places and cancels orders and tells what became of them.',
  version: '0.1.0',
  port: 3001,
  handling: { concurrency: 8, batch: 50 },
  entities: [OrderEntity, OrderLineEntity],
  migrations: [Orders1763700000000],
  publishes: [OrderPlaced, OrderConfirmed, OrderRejected, OrderCancelled, OrderRefundRequested],
  invariants: orderInvariants,
};
