export { addUp } from './conservation.js';
export type { Conservation, ConservationRule, Side, ThreeServices } from './conservation.js';
export { inventoryFiguresSchema, orderFiguresSchema, paymentFiguresSchema, sumSchema, tallySchema } from './figures.js';
export type { InventoryFigures, OrderFigures, PaymentFigures, Tally } from './figures.js';
export { ORDER_LINES_MAX, orderLineSchema, totalCentsOf } from './order-line.js';
export type { OrderLine } from './order-line.js';
export {
  customerIdSchema,
  orderIdSchema,
  quantitySchema,
  reasonSchema,
  skuSchema,
  TOTAL_CENTS_MAX,
  totalCentsSchema,
} from './order-values.js';
export {
  ORDER_AGGREGATE,
  OrderCancelled,
  OrderConfirmed,
  OrderPlaced,
  OrderRefundRequested,
  OrderRejected,
} from './order.events.js';
export { PAYMENT_AGGREGATE, PaymentCaptured, PaymentDeclined, PaymentRefunded } from './payment.events.js';
export { STOCK_AGGREGATE, StockRefused, StockReleased, StockReserved, StockSold } from './stock.events.js';
