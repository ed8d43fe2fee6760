import { IDEMPOTENCY_KEY_DDL } from '@millrace/http';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Orders, their lines and the idempotency keys. Locks: makes objects only, nothing that exists is locked. */
const UP = `
create table orders (
  id uuid not null,
  customer_id text not null,
  status text not null,
  reason text,
  total_cents bigint not null,
  version integer not null,
  is_refund_requested boolean not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint orders_pk primary key (id),
  constraint orders_status_check check (status in ('pending', 'confirmed', 'rejected', 'cancelled')),
  constraint orders_total_cents_check check (total_cents between 0 and 9007199254740991),
  constraint orders_version_check check (version >= 1),
  constraint orders_reason_check check ((reason is not null) = (status = 'rejected')),
  constraint orders_is_refund_requested_check check (not is_refund_requested or status = 'cancelled')
);
create index orders_customer_id_idx on orders (customer_id, id);
create index orders_status_idx on orders (status, id);

create table order_line (
  order_id uuid not null,
  line_number smallint not null,
  sku text not null,
  quantity integer not null,
  unit_price_cents bigint not null,
  constraint order_line_pk primary key (order_id, line_number),
  constraint order_line_order_id_fk foreign key (order_id) references orders (id),
  constraint order_line_quantity_check check (quantity >= 1),
  constraint order_line_unit_price_cents_check check (unit_price_cents >= 0)
);
`;

/** Locks: the dropped tables exclusively, until the transaction ends; the service must be stopped. */
const DOWN = `
drop table order_line;
drop table orders;
`;

export class Orders1763700000000 implements MigrationInterface {
  readonly name = 'Orders1763700000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(UP + IDEMPOTENCY_KEY_DDL.up);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(DOWN + IDEMPOTENCY_KEY_DDL.down);
  }
}
