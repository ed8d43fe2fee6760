import { orderIdSchema, totalCentsSchema } from '@millrace/contracts';
import { z } from 'zod';

import { RESERVATION_STATUSES } from './reservation.entity.js';

/** The path of one reservation. */
export const reservationPathSchema = z.object({ orderId: z.uuid('orderId must be a UUID') });

/** A reservation as it is told. */
export const reservationViewSchema = z.object({
  orderId: orderIdSchema,
  customerId: z.string().optional().describe('not known of a tombstone'),
  status: z
    .enum(RESERVATION_STATUSES)
    .describe('tombstone: the order ended before it was heard of here, and will be refused'),
  reason: z.string().optional().describe('why it was refused'),
  totalCents: totalCentsSchema.optional().describe('not known of a tombstone'),
  lines: z
    .array(z.object({ sku: z.string(), quantity: z.int().min(1) }))
    .describe('what the order wants, each article once'),
  version: z.int().min(1).describe('counts the changes of the reservation'),
});

/** A reservation as it is told. */
export type ReservationView = z.infer<typeof reservationViewSchema>;
