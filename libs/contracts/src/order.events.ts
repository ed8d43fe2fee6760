import { defineEvent } from '@millrace/events';
import { z } from 'zod';

import { ORDER_LINES_MAX, orderLineSchema } from './order-line.js';
import { customerIdSchema, totalCentsSchema } from './order-values.js';

/** The aggregate of all events about one order; their key is the order's id. */
export const ORDER_AGGREGATE = 'order';

/** A customer has placed an order; stock and money are not yet asked. */
export const OrderPlaced = defineEvent({
  type: 'order.placed',
  schemaVersion: 1,
  aggregate: ORDER_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({
    orderId: z.uuid(),
    customerId: customerIdSchema,
    lines: z.array(orderLineSchema).min(1).max(ORDER_LINES_MAX),
    totalCents: totalCentsSchema,
  }),
});
