import { type OrderView } from './order-api.js';
import { type OrderEntity } from './order.entity.js';

/** An order row with its lines as the API tells it. */
export function toOrderView(order: OrderEntity): OrderView {
  return {
    id: order.id,
    customerId: order.customerId,
    status: order.status,
    ...(order.reason === null ? {} : { reason: order.reason }),
    lines: order.lines
      .toSorted((a, b) => a.lineNumber - b.lineNumber)
      .map(({ sku, quantity, unitPriceCents }) => ({ sku, quantity, unitPriceCents })),
    totalCents: order.totalCents,
    version: order.version,
  };
}
