import { type Migration } from '../migration.js';

/**
 * Tables whose new rows a trigger copies into the outbox. While the rows that were there before are being copied, new
 * events wait in `adoption_held`: they must not get a lower position than an older event of their key. `n` is drawn as
 * a position is, at the insert, so it has the same order per key.
 */
const ADOPTION = `
create table millrace.adoption (
  source regclass constraint adoption_pk primary key,
  state text not null constraint adoption_state_check check (state in ('copying', 'draining', 'adopted')),
  request jsonb not null,
  order_by text,
  last_value text,
  last_id uuid,
  copied bigint not null default 0,
  adopted_at timestamptz not null default clock_timestamp()
);
comment on column millrace.adoption.state is 'copying: older rows, new ones wait; draining: the waiting ones; adopted: the trigger writes into the outbox';
comment on column millrace.adoption.request is 'which columns make an event, as it was asked for';
comment on column millrace.adoption.last_value is 'the copy has come to here: value of order_by, and id, of the last row';

create table millrace.adoption_held (
  n bigint generated always as identity constraint adoption_held_pk primary key,
  source regclass not null,
  id uuid not null,
  aggregatetype text not null,
  aggregateid text not null,
  type text not null,
  aggregateversion bigint,
  schemaversion integer not null,
  payload jsonb not null,
  headers jsonb
);
create index adoption_held_id_idx on millrace.adoption_held (source, id);
`;

/** Adoption of tables. Locks: creates objects only. */
export const adoptionMigration: Migration = {
  version: 8,
  name: 'adoption of tables',
  up: ADOPTION,
  down: `drop table millrace.adoption_held, millrace.adoption;`,
};
