import { skuSchema } from '@millrace/contracts';
import {
  etagOf,
  type IdempotentAnswer,
  IdempotencyKeys,
  type IdempotentRequest,
  type Precondition,
  ProblemError,
} from '@millrace/http';
import { Database } from '@millrace/service';
import { Injectable } from '@nestjs/common';
import { LessThan, MoreThan } from 'typeorm';
import { z } from 'zod';

import { decodeCursor, encodeCursor } from './page-cursor.js';
import { type Adjustment, type MovementPage, type PageQuery, type StockPage } from './stock-api.js';
import { NOT_FOUND, recordCount, recordMovement } from './stock-book.js';
import { toMovementView, toStockView } from './stock-view.js';
import { StockEntity, StockMovementEntity } from './stock.entity.js';

const versionSchema = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number);

@Injectable()
export class StockService {
  constructor(
    private readonly database: Database,
    private readonly idempotencyKeys: IdempotencyKeys,
  ) {}

  /** Makes what is on hand what was counted; see `recordCount`. */
  async count(sku: string, onHand: number, precondition: Precondition): Promise<StockEntity> {
    return await this.database.write(async (tx) => await recordCount(tx, sku, onHand, precondition));
  }

  /** The movement and the answer to the key commit together or not at all. */
  async adjust(request: IdempotentRequest, sku: string, adjustment: Adjustment): Promise<IdempotentAnswer> {
    const { quantity, reason } = adjustment;
    return await this.database.write(
      async (tx) =>
        await this.idempotencyKeys.answerOnce(tx, request, adjustment, async () => {
          const stock = await recordMovement(tx, sku, quantity, reason);
          return { status: 200, headers: { ETag: etagOf(stock.version) }, body: toStockView(stock) };
        }),
    );
  }

  async get(sku: string): Promise<StockEntity> {
    const stock = await this.database.read(async (manager) => await manager.findOneBy(StockEntity, { sku }));
    if (stock === null) {
      throw new ProblemError('not-found', NOT_FOUND);
    }
    return stock;
  }

  /** In the order of the SKUs' bytes: an article that is new between two pages is on one of them or on none. */
  async list({ cursor, limit }: PageQuery): Promise<StockPage> {
    const where = cursor === undefined ? {} : { sku: MoreThan(decodeCursor(cursor, skuSchema)) };
    const found = await this.database.read(
      async (manager) => await manager.find(StockEntity, { where, order: { sku: 'asc' }, take: limit + 1 }),
    );
    return pageOf(found, limit, toStockView, ({ sku }) => sku);
  }

  /** Newest first; a movement that is new between two pages is before the first one. */
  async listMovements(sku: string, { cursor, limit }: PageQuery): Promise<MovementPage> {
    const where = {
      sku,
      ...(cursor === undefined ? {} : { version: LessThan(decodeCursor(cursor, versionSchema)) }),
    };
    const found = await this.database.read(
      async (manager) =>
        await manager.find(StockMovementEntity, { where, order: { version: 'desc' }, take: limit + 1 }),
    );
    if (found.length === 0) {
      await this.get(sku);
    }
    return pageOf(found, limit, toMovementView, ({ version }) => String(version));
  }
}

/** One page of rows of which one more than `limit` was asked for. */
function pageOf<Row, View>(
  found: readonly Row[],
  limit: number,
  toView: (row: Row) => View,
  keyOf: (row: Row) => string,
): { items: View[]; nextCursor: string | null } {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return {
    items: rows.map(toView),
    nextCursor: found.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null,
  };
}
