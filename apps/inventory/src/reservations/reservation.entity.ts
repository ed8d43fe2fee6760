import { safeBigint } from '@millrace/service';
import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm';

/**
 * What becomes of the stock of an order. `reserved` becomes `sold` or `released`; `refused` is final. `tombstone`: the
 * order had ended before it was heard of here, and is refused as soon as it is.
 */
export const RESERVATION_STATUSES = ['reserved', 'refused', 'sold', 'released', 'tombstone'] as const;

/** What becomes of the stock of an order. */
export type ReservationStatus = (typeof RESERVATION_STATUSES)[number];

/** One order as the inventory knows it. Its row is what the order's events lock. */
@Entity('reservation')
export class ReservationEntity {
  @PrimaryColumn('uuid', { name: 'order_id' })
  orderId!: string;

  /** Null while `tombstone`. */
  @Column('text', { name: 'customer_id', nullable: true })
  customerId!: string | null;

  @Column('text')
  status!: ReservationStatus;

  /** Why it was `refused`, null otherwise. */
  @Column('text', { nullable: true })
  reason!: string | null;

  /** What the order costs, for sums across the services; null while `tombstone`. */
  @Column('bigint', { name: 'total_cents', nullable: true, transformer: safeBigint })
  totalCents!: number | null;

  /** Counts the changes of the row from 1; each event about it carries the version it made. */
  @Column('integer')
  version!: number;

  @OneToMany('ReservationLineEntity', 'reservation')
  lines!: Relation<ReservationLineEntity>[];
}

/** How much of one article an order wants, all of its lines together. */
@Entity('reservation_line')
export class ReservationLineEntity {
  @PrimaryColumn('uuid', { name: 'order_id' })
  orderId!: string;

  @PrimaryColumn('text')
  sku!: string;

  @Column('bigint', { transformer: safeBigint })
  quantity!: number;

  @ManyToOne(() => ReservationEntity, 'lines')
  @JoinColumn({ name: 'order_id' })
  reservation!: Relation<ReservationEntity>;
}
