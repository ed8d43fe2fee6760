import { safeBigint } from '@millrace/service';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What became of the money of an order. */
export const PAYMENT_STATUSES = ['captured', 'declined', 'refunded'] as const;

/** What became of the money of an order. */
export type PaymentStatus = (typeof PAYMENT_STATUSES)[number];

/** Why a customer was not charged; the `reason` of `payment.declined`. */
export const DECLINE_REASONS = ['insufficient-funds', 'unknown-customer', 'order-cancelled'] as const;

/** Why a customer was not charged. */
export type DeclineReason = (typeof DECLINE_REASONS)[number];

/** The one payment of an order: its row is what the events of aggregate `payment` are ordered by. */
@Entity('payment')
export class PaymentEntity {
  @PrimaryColumn('uuid')
  id!: string;

  @Column('uuid', { name: 'order_id' })
  orderId!: string;

  @Column('text', { name: 'customer_id' })
  customerId!: string;

  /** What was asked for, also where it was declined. */
  @Column('bigint', { name: 'amount_cents', transformer: safeBigint })
  amountCents!: number;

  @Column('text')
  status!: PaymentStatus;

  /** Of a declined one. */
  @Column('text', { nullable: true })
  reason!: DeclineReason | null;

  /** Counts the changes from 1; each event of the payment carries the version it made. */
  @Column('integer')
  version!: number;
}

/** The tombstone of an order that was cancelled: a charge for it that comes later refuses itself. */
@Entity('cancelled_order')
export class CancelledOrderEntity {
  @PrimaryColumn('uuid', { name: 'order_id' })
  orderId!: string;
}
