import { defineEvent } from '@millrace/events';
import { z } from 'zod';

import { ORDER_LINES_MAX, orderLineSchema } from './order-line.js';
import { customerIdSchema, orderIdSchema, reasonSchema, totalCentsSchema } from './order-values.js';

/** The aggregate of all events about one order; their key is the order's id. */
export const ORDER_AGGREGATE = 'order';

/** A customer has placed an order; stock and money are not yet asked. */
export const OrderPlaced = defineEvent({
  type: 'order.placed',
  schemaVersion: 1,
  aggregate: ORDER_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({
    orderId: orderIdSchema,
    customerId: customerIdSchema,
    lines: z.array(orderLineSchema).min(1).max(ORDER_LINES_MAX),
    totalCents: totalCentsSchema,
  }),
});

/** Stock is reserved and the money captured: the order stands. Final. */
export const OrderConfirmed = defineEvent({
  type: 'order.confirmed',
  schemaVersion: 1,
  aggregate: ORDER_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema }),
});

/** There was no stock, or no money. Final; what was reserved is to be released. */
export const OrderRejected = defineEvent({
  type: 'order.rejected',
  schemaVersion: 1,
  aggregate: ORDER_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema, reason: reasonSchema }),
});

/** The customer took the order back before it was confirmed. Final; a charge that comes late is to refuse itself. */
export const OrderCancelled = defineEvent({
  type: 'order.cancelled',
  schemaVersion: 1,
  aggregate: ORDER_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema }),
});

/** The money of a cancelled order was captured after all and is to be given back. Once per order. */
export const OrderRefundRequested = defineEvent({
  type: 'order.refund-requested',
  schemaVersion: 1,
  aggregate: ORDER_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema, amountCents: totalCentsSchema }),
});
