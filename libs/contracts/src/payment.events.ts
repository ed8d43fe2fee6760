import { defineEvent } from '@millrace/events';
import { z } from 'zod';

import { orderIdSchema, reasonSchema, totalCentsSchema } from './order-values.js';

/** The aggregate of the money of one order; its events' key is the order's id. */
export const PAYMENT_AGGREGATE = 'payment';

/** The customer's account was charged. */
export const PaymentCaptured = defineEvent({
  type: 'payment.captured',
  schemaVersion: 1,
  aggregate: PAYMENT_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema, paymentId: z.uuid(), amountCents: totalCentsSchema }),
});

/** The customer was not charged: too little money, no account, or the order was cancelled before. */
export const PaymentDeclined = defineEvent({
  type: 'payment.declined',
  schemaVersion: 1,
  aggregate: PAYMENT_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema, reason: reasonSchema }),
});

/** The captured money is back on the customer's account. */
export const PaymentRefunded = defineEvent({
  type: 'payment.refunded',
  schemaVersion: 1,
  aggregate: PAYMENT_AGGREGATE,
  key: (payload) => payload.orderId,
  schema: z.object({ orderId: orderIdSchema, paymentId: z.uuid(), amountCents: totalCentsSchema }),
});
