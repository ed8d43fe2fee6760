import {
  customerIdSchema,
  ORDER_LINES_MAX,
  orderLineSchema,
  TOTAL_CENTS_MAX,
  totalCentsOf,
  totalCentsSchema,
} from '@millrace/contracts';
import { z } from 'zod';

/** What becomes of an order: all but `pending` are final. */
export const ORDER_STATUSES = ['pending', 'confirmed', 'rejected', 'cancelled'] as const;

/** What becomes of an order. */
export type OrderStatus = (typeof ORDER_STATUSES)[number];

const LINES_RULE = `lines must have 1 to ${ORDER_LINES_MAX} entries`;

/** The body of `POST /orders`. Unknown fields are refused: a misspelt one must not be lost in silence. */
export const placeOrderSchema = z.strictObject({
  customerId: customerIdSchema,
  lines: z
    .array(z.strictObject(orderLineSchema.shape))
    .min(1, LINES_RULE)
    .max(ORDER_LINES_MAX, LINES_RULE)
    .refine((lines) => totalCentsOf(lines) <= TOTAL_CENTS_MAX, `the lines must cost at most ${TOTAL_CENTS_MAX} cents`),
});

/** The body of `POST /orders`. */
export type PlaceOrder = z.infer<typeof placeOrderSchema>;

/** The answer to `POST /orders`. */
export const orderAcceptedSchema = z.object({
  id: z.uuid(),
  status: z.literal('pending'),
  totalCents: totalCentsSchema,
});

/** The answer to `POST /orders`. */
export type OrderAccepted = z.infer<typeof orderAcceptedSchema>;

/** The body of `POST /orders/{id}/cancel`: none, or an object without fields. */
export const cancelOrderSchema = z.strictObject({}).optional();

/** The answer to `POST /orders/{id}/cancel`. */
export const orderCancelledSchema = z.object({ id: z.uuid(), status: z.literal('cancelled') });

/** The answer to `POST /orders/{id}/cancel`. */
export type OrderCancelledAnswer = z.infer<typeof orderCancelledSchema>;

/** The path of one order. */
export const orderPathSchema = z.object({ id: z.uuid('id must be a UUID') });

/** An order as it is told. */
export const orderViewSchema = z.object({
  id: z.uuid(),
  customerId: z.string(),
  status: z.enum(ORDER_STATUSES),
  reason: z.string().optional().describe('why it was rejected: out-of-stock, insufficient-funds, ...'),
  lines: z.array(orderLineSchema),
  totalCents: totalCentsSchema,
  version: z.int().min(1).describe('counts the changes of the order; in the ETag too'),
});

/** An order as it is told. */
export type OrderView = z.infer<typeof orderViewSchema>;

const LIMIT_RULE = 'limit must be a whole number from 1 to 100';

/** The query of `GET /orders`. */
export const listOrdersSchema = z.strictObject({
  customerId: customerIdSchema.optional(),
  status: z.enum(ORDER_STATUSES, `status must be one of ${ORDER_STATUSES.join(', ')}`).optional(),
  cursor: z
    .string()
    .regex(/^[A-Za-z0-9_-]{22}$/, 'cursor must be the nextCursor of an earlier page')
    .optional(),
  limit: z
    .string()
    .regex(/^\d{1,3}$/, LIMIT_RULE)
    .transform(Number)
    .pipe(z.number().min(1, LIMIT_RULE).max(100, LIMIT_RULE))
    .default(20)
    .meta({
      description: 'orders of a page, 20 where not given',
      type: 'integer',
      minimum: 1,
      maximum: 100,
      pattern: undefined,
    }),
});

/** The query of `GET /orders`. */
export type ListOrders = z.infer<typeof listOrdersSchema>;

/** One page of orders, newest first. */
export const orderPageSchema = z.object({
  items: z.array(orderViewSchema),
  nextCursor: z.string().nullable().describe('for the next page; null on the last'),
});

/** One page of orders, newest first. */
export type OrderPage = z.infer<typeof orderPageSchema>;
