import { safeBigint } from '@millrace/service';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What an account holds now; every change of it is an `AccountEntryEntity`. */
@Entity('account')
export class AccountEntity {
  @PrimaryColumn('text', { name: 'customer_id' })
  customerId!: string;

  /** From 0 to `depositedCents`. */
  @Column('bigint', { name: 'balance_cents', transformer: safeBigint })
  balanceCents!: number;

  /** Everything that was ever paid in, at most 2^53 - 1: so no refund can make a balance that JSON cannot carry. */
  @Column('bigint', { name: 'deposited_cents', transformer: safeBigint })
  depositedCents!: number;

  /** Counts the changes from 1: the number of the newest entry. */
  @Column('bigint', { transformer: safeBigint })
  version!: number;
}

/** Why money moved. The first entry of an account is the deposit that it was opened with. */
export const ENTRY_KINDS = ['deposit', 'capture', 'refund'] as const;

/** Why money moved. */
export type EntryKind = (typeof ENTRY_KINDS)[number];

/** One change of a balance. Entries are only ever added, numbered without a gap: they prove the balance. */
@Entity('account_entry')
export class AccountEntryEntity {
  @PrimaryColumn('text', { name: 'customer_id' })
  customerId!: string;

  @PrimaryColumn('bigint', { name: 'entry_number', transformer: safeBigint })
  entryNumber!: number;

  @Column('text')
  kind!: EntryKind;

  /** Below zero for a capture. */
  @Column('bigint', { name: 'amount_cents', transformer: safeBigint })
  amountCents!: number;

  /** The balance after this entry. */
  @Column('bigint', { name: 'balance_cents', transformer: safeBigint })
  balanceCents!: number;

  /** Of a capture or refund. */
  @Column('uuid', { name: 'payment_id', nullable: true })
  paymentId!: string | null;

  @Column('timestamptz', { name: 'occurred_at' })
  occurredAt!: Date;
}
