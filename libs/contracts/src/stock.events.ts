import { defineEvent } from '@millrace/events';
import { z } from 'zod';

import { customerIdSchema, orderIdSchema, reasonSchema, totalCentsSchema } from './order-values.js';

/** The aggregate of what the inventory did for one order; its events' key is the order's id. */
export const STOCK_AGGREGATE = 'stock';

/** Every line of the order is reserved; the customer may be charged. */
export const StockReserved = defineEvent({
  type: 'stock.reserved',
  schemaVersion: 1,
  aggregate: STOCK_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema, customerId: customerIdSchema, totalCents: totalCentsSchema }),
});

/** No line of the order is reserved, as one at least could not be. */
export const StockRefused = defineEvent({
  type: 'stock.refused',
  schemaVersion: 1,
  aggregate: STOCK_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema, reason: reasonSchema }),
});

/** The reservation of a confirmed order has become a sale. */
export const StockSold = defineEvent({
  type: 'stock.sold',
  schemaVersion: 1,
  aggregate: STOCK_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema }),
});

/** The reservation of a rejected or cancelled order is available again. */
export const StockReleased = defineEvent({
  type: 'stock.released',
  schemaVersion: 1,
  aggregate: STOCK_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema }),
});
