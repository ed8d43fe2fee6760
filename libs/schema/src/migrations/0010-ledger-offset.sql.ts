import { type Migration } from '../migration.js';

/**
 * How far the ledger of a route covers each partition that it publishes to, so that who takes it over reads what was
 * stored there since, and sends no event twice. By the name of the whole route, also when it is divided: a partition has
 * one writer at a time, and its next one may be another shard.
 *
 * Checkpoints say which part of the ledger lay below which offsets at what time: the range to be replayed when a topic has
 * lost its end. By the name of the ledger; a lane that has not moved since the checkpoint before is left out.
 */
const TABLES = `
create table millrace.ledger_offset (
  route text not null,
  topic text not null,
  topic_id text,
  partition integer not null,
  next_offset bigint not null,
  at timestamptz not null,
  constraint ledger_offset_pk primary key (route, topic, partition)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.ledger_offset.topic_id is 'the topic''s own name for itself, which a topic made anew under the same name does not have';
comment on column millrace.ledger_offset.next_offset is 'all that the route has sent to the partition below it is settled';
comment on column millrace.ledger_offset.at is 'no record of the route in the partition that is not settled is older';

create table millrace.checkpoint (
  route text not null,
  at timestamptz not null default clock_timestamp(),
  low bigint not null,
  high bigint not null,
  offsets jsonb not null,
  constraint checkpoint_pk primary key (route, at)
);
comment on column millrace.checkpoint.offsets is 'by topic and partition: the offset below which all was settled';
`;

/** What take-over and replay begin from. Locks: none but those of the new tables. */
export const ledgerOffsetMigration: Migration = {
  version: 10,
  name: 'ledger offsets',
  up: TABLES,
  down: `drop table millrace.checkpoint, millrace.ledger_offset;`,
};
