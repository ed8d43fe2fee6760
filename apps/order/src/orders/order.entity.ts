import { safeBigint } from '@millrace/service';
import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm';

import { type OrderStatus } from './order-api.js';

@Entity('orders')
export class OrderEntity {
  @PrimaryColumn('uuid')
  id!: string;

  @Column('text', { name: 'customer_id' })
  customerId!: string;

  @Column('text')
  status!: OrderStatus;

  /** Why it was rejected; null unless it was. */
  @Column('text', { nullable: true })
  reason!: string | null;

  @Column('bigint', { name: 'total_cents', transformer: safeBigint })
  totalCents!: number;

  /** Counts the changes of the order from 1; each event of the order carries the version it made. */
  @Column('integer')
  version!: number;

  /** True once the money of a cancelled order was captured after all, and its refund requested. */
  @Column('boolean', { name: 'is_refund_requested' })
  isRefundRequested!: boolean;

  @OneToMany('OrderLineEntity', 'order')
  lines!: Relation<OrderLineEntity>[];
}

@Entity('order_line')
export class OrderLineEntity {
  @PrimaryColumn('uuid', { name: 'order_id' })
  orderId!: string;

  @PrimaryColumn('smallint', { name: 'line_number' })
  lineNumber!: number;

  @Column('text')
  sku!: string;

  @Column('integer')
  quantity!: number;

  @Column('bigint', { name: 'unit_price_cents', transformer: safeBigint })
  unitPriceCents!: number;

  @ManyToOne(() => OrderEntity, 'lines')
  @JoinColumn({ name: 'order_id' })
  order!: Relation<OrderEntity>;
}
