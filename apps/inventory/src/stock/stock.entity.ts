import { safeBigint } from '@millrace/service';
import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

/**
 * One article. What is on hand is `received - sold`, and of that `reserved` is promised to orders; the rest is
 * available. No number is ever negative, the table's constraints hold it.
 */
@Entity('stock')
export class StockEntity {
  @PrimaryColumn('text')
  sku!: string;

  /** The sum of the movements. */
  @Column('bigint', { transformer: safeBigint })
  received!: number;

  @Column('bigint', { transformer: safeBigint })
  reserved!: number;

  @Column('bigint', { transformer: safeBigint })
  sold!: number;

  /** Counts the changes of the row, of whatever kind, from 1; its entity tag. */
  @Column('bigint', { transformer: safeBigint })
  version!: number;
}

/** A change of what was received: never changed itself. */
@Entity('stock_movement')
export class StockMovementEntity {
  @PrimaryColumn('text')
  sku!: string;

  /** The version of the stock that it made; so movements of one article have an order without doubt. */
  @PrimaryColumn('bigint', { transformer: safeBigint })
  version!: number;

  @Column('bigint', { transformer: safeBigint })
  quantity!: number;

  @Column('text')
  reason!: string;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;
}
