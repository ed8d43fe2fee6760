export { ORDER_LINES_MAX, orderLineSchema, totalCentsOf } from './order-line.js';
export type { OrderLine } from './order-line.js';
export { customerIdSchema, skuSchema, TOTAL_CENTS_MAX, totalCentsSchema } from './order-values.js';
export { ORDER_AGGREGATE, OrderPlaced } from './order.events.js';
