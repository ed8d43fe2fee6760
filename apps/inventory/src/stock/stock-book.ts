import { etagOf, type Precondition, ProblemError, requireMatch } from '@millrace/http';
import { type EntityManager } from 'typeorm';

import { StockEntity, StockMovementEntity } from './stock.entity.js';

/** The reason of a movement that a count has made. */
export const COUNTED = 'counted';

const CREATE_STOCK = `
insert into stock (sku, received, reserved, sold, version) values ($1, $2, 0, 0, 1)
on conflict on constraint stock_pk do nothing
returning sku`;

/**
 * Makes what is on hand what was counted; the difference is a movement. A count that finds nothing new changes nothing,
 * not even the version. Throws `ProblemError`: `precondition-required`, `precondition-failed`, and `conflict` below
 * what is reserved. In the caller's transaction; locks the row.
 */
export async function recordCount(
  tx: EntityManager,
  sku: string,
  onHand: number,
  precondition: Precondition,
): Promise<StockEntity> {
  const created = precondition.kind === 'none' ? await create(tx, sku, onHand) : undefined;
  if (created !== undefined) {
    return created;
  }
  const stock = await findLocked(tx, sku);
  requireMatch(precondition, stock === null ? null : etagOf(stock.version));
  if (stock === null) {
    throw new ProblemError('not-found', NOT_FOUND);
  }
  return await move(tx, stock, onHand - (stock.received - stock.sold), COUNTED);
}

/**
 * Adds a movement. Throws `ProblemError`: `not-found`, and `conflict` below what is reserved. In the caller's
 * transaction; locks the row.
 */
export async function recordMovement(
  tx: EntityManager,
  sku: string,
  quantity: number,
  reason: string,
): Promise<StockEntity> {
  const stock = await findLocked(tx, sku);
  if (stock === null) {
    throw new ProblemError('not-found', NOT_FOUND);
  }
  return await move(tx, stock, quantity, reason);
}

/** What the API says of an article that has no row. */
export const NOT_FOUND = 'No article has this SKU. PUT its stock to make it known.';

async function create(tx: EntityManager, sku: string, onHand: number): Promise<StockEntity | undefined> {
  const rows: unknown[] = await tx.query(CREATE_STOCK, [sku, onHand]);
  if (rows.length === 0) {
    return undefined;
  }
  const stock = tx.create(StockEntity, { sku, received: onHand, reserved: 0, sold: 0, version: 1 });
  await writeMovement(tx, stock, onHand, COUNTED);
  return stock;
}

async function findLocked(tx: EntityManager, sku: string): Promise<StockEntity | null> {
  return await tx.findOne(StockEntity, { where: { sku }, lock: { mode: 'for_no_key_update' } });
}

async function move(tx: EntityManager, stock: StockEntity, quantity: number, reason: string): Promise<StockEntity> {
  if (quantity === 0) {
    return stock;
  }
  refuseImpossible(stock, quantity);
  const { sku, received, reserved, sold, version } = stock;
  const moved = tx.create(StockEntity, { sku, received: received + quantity, reserved, sold, version: version + 1 });
  await tx.update(StockEntity, { sku }, { received: moved.received, version: moved.version });
  await writeMovement(tx, moved, quantity, reason);
  return moved;
}

async function writeMovement(
  tx: EntityManager,
  { sku, version }: StockEntity,
  quantity: number,
  reason: string,
): Promise<void> {
  if (quantity !== 0) {
    await tx.insert(StockMovementEntity, { sku, version, quantity, reason });
  }
}

function refuseImpossible({ received, reserved, sold }: StockEntity, quantity: number): void {
  if (received + quantity - sold < reserved) {
    throw new ProblemError(
      'conflict',
      `${received - sold} pieces are on hand and ${reserved} of them reserved for orders: at most ${received - sold - reserved} can be taken away.`,
    );
  }
  if (received + quantity > Number.MAX_SAFE_INTEGER) {
    throw new ProblemError('conflict', `An article can receive ${Number.MAX_SAFE_INTEGER} pieces in all, not more.`);
  }
}
