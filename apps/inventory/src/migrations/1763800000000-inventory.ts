import { IDEMPOTENCY_KEY_DDL } from '@millrace/http';
import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * Stock, its movements, the reservations of orders and the idempotency keys. Locks: makes objects only, nothing that
 * exists is locked.
 *
 * A stock row of an article that sells well is updated with every order: the free half of its page keeps the versions
 * there, without touching the index. Collation "C" gives every server the same order of locking. Reservation lines name
 * articles without a foreign key: those of a refused order may not exist.
 */
const UP = `
create table stock (
  sku text collate "C" not null,
  received bigint not null,
  reserved bigint not null,
  sold bigint not null,
  version bigint not null,
  constraint stock_pk primary key (sku),
  constraint stock_sku_check check (char_length(sku) between 1 and 64),
  constraint stock_received_check check (received between 0 and 9007199254740991),
  constraint stock_reserved_check check (reserved >= 0),
  constraint stock_sold_check check (sold >= 0),
  constraint stock_available_check check (received - sold - reserved >= 0),
  constraint stock_version_check check (version >= 1)
) with (fillfactor = 50);

create table stock_movement (
  sku text collate "C" not null,
  version bigint not null,
  quantity bigint not null,
  reason text not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint stock_movement_pk primary key (sku, version),
  constraint stock_movement_sku_fk foreign key (sku) references stock (sku),
  constraint stock_movement_quantity_check check (quantity <> 0)
);

create table reservation (
  order_id uuid not null,
  customer_id text,
  status text not null,
  reason text,
  total_cents bigint,
  version integer not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint reservation_pk primary key (order_id),
  constraint reservation_status_check check (status in ('reserved', 'refused', 'sold', 'released', 'tombstone')),
  constraint reservation_reason_check check ((reason is not null) = (status = 'refused')),
  constraint reservation_customer_id_check check ((customer_id is null) = (status = 'tombstone')),
  constraint reservation_total_cents_check check ((total_cents is null) = (status = 'tombstone')
                                                  and total_cents between 0 and 9007199254740991),
  constraint reservation_version_check check (version >= 1)
) with (fillfactor = 80);

create table reservation_line (
  order_id uuid not null,
  sku text collate "C" not null,
  quantity bigint not null,
  constraint reservation_line_pk primary key (order_id, sku),
  constraint reservation_line_order_id_fk foreign key (order_id) references reservation (order_id),
  constraint reservation_line_quantity_check check (quantity >= 1)
);
`;

/** Locks: the dropped tables exclusively, until the transaction ends; the service must be stopped. */
const DOWN = `
drop table reservation_line;
drop table reservation;
drop table stock_movement;
drop table stock;
`;

export class Inventory1763800000000 implements MigrationInterface {
  readonly name = 'Inventory1763800000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(UP + IDEMPOTENCY_KEY_DDL.up);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(DOWN + IDEMPOTENCY_KEY_DDL.down);
  }
}
