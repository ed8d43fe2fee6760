import { IDEMPOTENCY_KEY_DDL } from '@millrace/http';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Accounts, their entries, payments, cancelled orders. Locks: makes objects only, nothing that exists is locked. */
const UP = `
create table account (
  customer_id text collate "C" not null,
  balance_cents bigint not null,
  deposited_cents bigint not null,
  version bigint not null,
  opened_at timestamptz not null default clock_timestamp(),
  constraint account_pk primary key (customer_id),
  constraint account_balance_cents_check check (balance_cents between 0 and deposited_cents),
  constraint account_deposited_cents_check check (deposited_cents between 0 and 9007199254740991),
  constraint account_version_check check (version >= 1)
);

create table payment (
  id uuid not null,
  order_id uuid not null,
  customer_id text collate "C" not null,
  amount_cents bigint not null,
  status text not null,
  reason text,
  version integer not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint payment_pk primary key (id),
  constraint payment_order_id_key unique (order_id),
  constraint payment_amount_cents_check check (amount_cents between 0 and 9007199254740991),
  constraint payment_status_check check (status in ('captured', 'declined', 'refunded')),
  constraint payment_reason_check check ((reason is not null) = (status = 'declined')),
  constraint payment_version_check check (version = case status when 'refunded' then 2 else 1 end)
);

create table account_entry (
  customer_id text collate "C" not null,
  entry_number bigint not null,
  kind text not null,
  amount_cents bigint not null,
  balance_cents bigint not null,
  payment_id uuid,
  occurred_at timestamptz not null default clock_timestamp(),
  constraint account_entry_pk primary key (customer_id, entry_number),
  constraint account_entry_customer_id_fk foreign key (customer_id) references account (customer_id),
  constraint account_entry_payment_id_fk foreign key (payment_id) references payment (id),
  constraint account_entry_payment_id_key unique (payment_id, kind),
  constraint account_entry_entry_number_check check (entry_number >= 1),
  constraint account_entry_kind_check check (kind in ('deposit', 'capture', 'refund')),
  constraint account_entry_amount_cents_check check (case kind when 'capture' then amount_cents <= 0 else amount_cents >= 0 end),
  constraint account_entry_balance_cents_check check (balance_cents between 0 and 9007199254740991),
  constraint account_entry_payment_check check ((payment_id is null) = (kind = 'deposit'))
);

create table cancelled_order (
  order_id uuid not null,
  cancelled_at timestamptz not null default clock_timestamp(),
  constraint cancelled_order_pk primary key (order_id)
);

create function refuse_entry_change() returns trigger language plpgsql as $$
begin
  raise exception 'Entries of an account are only ever added: correct an account with a further entry.';
end $$;

create trigger account_entry_append_only before update or delete or truncate on account_entry
for each statement execute function refuse_entry_change();
`;

/** Locks: the dropped tables exclusively, until the transaction ends; the service must be stopped. */
const DOWN = `
drop table cancelled_order;
drop table account_entry;
drop function refuse_entry_change();
drop table payment;
drop table account;
`;

export class Payments1763710000000 implements MigrationInterface {
  readonly name = 'Payments1763710000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(UP + IDEMPOTENCY_KEY_DDL.up);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(DOWN + IDEMPOTENCY_KEY_DDL.down);
  }
}
