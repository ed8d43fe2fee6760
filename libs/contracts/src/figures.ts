import { z } from 'zod';

/** A sum as decimal text: sums over all orders may be above 2^53. */
export const sumSchema = z.string().regex(/^-?\d{1,40}$/, 'a sum is a decimal whole number as text');

/** How many orders (reservations, payments), and their totals in cents. */
export const tallySchema = z.object({ count: z.int().min(0), cents: sumSchema });

/** How many orders (reservations, payments), and their totals in cents. */
export type Tally = z.infer<typeof tallySchema>;

/** What the order service tells of its whole state. */
export const orderFiguresSchema = z.object({
  orders: z.object({ pending: tallySchema, confirmed: tallySchema, rejected: tallySchema, cancelled: tallySchema }),
  /** Cancelled orders whose money was captured after all and is to be given back; each is in `cancelled` too. */
  refundsRequested: tallySchema,
});

/** What the order service tells of its whole state. */
export type OrderFigures = z.infer<typeof orderFiguresSchema>;

/** What the inventory service tells of its whole state. `cents` are the totals of the orders. */
export const inventoryFiguresSchema = z.object({
  /**
   * Each order that has come here is in one of these: `reserved` as long as its outcome is open, then `sold` or
   * `released`; `refused` when it could not be reserved. `tombstone`: its end came before its `order.placed`, so its
   * total is not known (0 cents); it becomes `refused` when that comes.
   */
  reservations: z.object({
    reserved: tallySchema,
    sold: tallySchema,
    released: tallySchema,
    refused: tallySchema,
    tombstone: tallySchema,
  }),
  /** Pieces of all articles together: received = the sum of all movements, onHand = received - sold. */
  units: z.object({ received: sumSchema, onHand: sumSchema, reserved: sumSchema, sold: sumSchema }),
});

/** What the inventory service tells of its whole state. */
export type InventoryFigures = z.infer<typeof inventoryFiguresSchema>;

/** What the payment service tells of its whole state. */
export const paymentFiguresSchema = z.object({
  /** depositsCents = balancesCents + capturedCents - refundedCents. */
  depositsCents: sumSchema,
  balancesCents: sumSchema,
  /** Ever captured, whether refunded later or not: the cents of the payments `captured` and `refunded`. */
  capturedCents: sumSchema,
  refundedCents: sumSchema,
  /**
   * Each order that has come here is in one of these. `captured` is captured and not refunded. `declined` was never
   * charged. `tombstone`: the order was cancelled before its charge came, which will then be `declined`; 0 cents.
   */
  payments: z.object({
    captured: tallySchema,
    declined: tallySchema,
    refunded: tallySchema,
    tombstone: tallySchema,
  }),
});

/** What the payment service tells of its whole state. */
export type PaymentFigures = z.infer<typeof paymentFiguresSchema>;
