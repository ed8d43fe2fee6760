import { type MovementPage, type StockView } from './stock-api.js';
import { type StockEntity, type StockMovementEntity } from './stock.entity.js';

/** A stock row as the API tells it. */
export function toStockView({ sku, received, reserved, sold }: StockEntity): StockView {
  const onHand = received - sold;
  return { sku, received, onHand, reserved, available: onHand - reserved, sold };
}

/** A movement as the API tells it. */
export function toMovementView(movement: StockMovementEntity): MovementPage['items'][number] {
  const { version, quantity, reason, createdAt } = movement;
  return { version, quantity, reason, createdAt: createdAt.toISOString() };
}
