import {
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
  type ValueTransformer,
} from 'typeorm';

/** What becomes of an order. */
export const ORDER_STATUSES = ['pending', 'confirmed', 'rejected', 'cancelled'] as const;

/** What becomes of an order. */
export type OrderStatus = (typeof ORDER_STATUSES)[number];

/** The driver gives bigint columns as text; cents are bounded by 2^53 - 1, by contract and by constraint. */
const cents: ValueTransformer = { to: (value: unknown) => value, from: (value: unknown) => Number(value) };

@Entity('orders')
export class OrderEntity {
  @PrimaryColumn('uuid')
  id!: string;

  @Column('text', { name: 'customer_id' })
  customerId!: string;

  @Column('text')
  status!: OrderStatus;

  @Column('text', { nullable: true })
  reason!: string | null;

  @Column('bigint', { name: 'total_cents', transformer: cents })
  totalCents!: number;

  /** Counts the changes of the order from 1; each event of the order carries the version it made. */
  @Column('integer')
  version!: number;

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

  @Column('bigint', { name: 'unit_price_cents', transformer: cents })
  unitPriceCents!: number;

  @ManyToOne(() => OrderEntity, 'lines')
  @JoinColumn({ name: 'order_id' })
  order!: Relation<OrderEntity>;
}
