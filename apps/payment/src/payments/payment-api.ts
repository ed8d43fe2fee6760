import { totalCentsSchema } from '@millrace/contracts';
import { z } from 'zod';

import { PAYMENT_STATUSES } from './payment.entity.js';

/** The query of `GET /payments`. */
export const findPaymentsSchema = z.strictObject({ orderId: z.uuid('orderId must be a UUID') });

/** The query of `GET /payments`. */
export type FindPayments = z.infer<typeof findPaymentsSchema>;

/** The payments of an order as they are told: none or one. */
export const paymentViewsSchema = z.array(
  z.object({
    id: z.uuid(),
    orderId: z.uuid(),
    status: z.enum(PAYMENT_STATUSES),
    amountCents: totalCentsSchema.describe('what was asked for, also where it was declined'),
  }),
);

/** The payments of an order as they are told. */
export type PaymentViews = z.infer<typeof paymentViewsSchema>;
