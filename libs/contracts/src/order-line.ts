import { z } from 'zod';

import { quantitySchema, skuSchema, unitPriceCentsSchema } from './order-values.js';

/** The most lines of one order. */
export const ORDER_LINES_MAX = 100;

/** One line of an order. */
export const orderLineSchema = z.object({
  sku: skuSchema,
  quantity: quantitySchema,
  unitPriceCents: unitPriceCentsSchema,
});

/** One line of an order. */
export type OrderLine = z.infer<typeof orderLineSchema>;

/**
 * What lines cost together, in cents. Exact up to 2^53 - 1; a sum that is higher comes out above that number too, so
 * comparing with `TOTAL_CENTS_MAX` finds every order that is too large.
 */
export function totalCentsOf(lines: readonly OrderLine[]): number {
  return lines.reduce((total, { quantity, unitPriceCents }) => total + quantity * unitPriceCents, 0);
}
