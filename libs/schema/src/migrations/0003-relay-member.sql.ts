import { type Migration } from '../migration.js';

/**
 * The relays that work on this source, each renewing its row every two seconds. Advice only: what a relay may publish
 * is decided by the lease on the ledger row.
 */
const RELAY_MEMBER = `
create table millrace.relay_member (
  source text not null,
  owner text not null,
  joined_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  expires timestamptz not null,
  config_version text not null,
  wants text[] not null default '{}',
  stopped text[] not null default '{}',
  constraint relay_member_pk primary key (source, owner)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on column millrace.relay_member.source is 'name of this database in the configuration of the relay';
comment on column millrace.relay_member.joined_at is 'a presence that had run out joins anew';
comment on column millrace.relay_member.config_version is 'routes are shared among relays that run the same routes';
comment on column millrace.relay_member.wants is 'routes that this relay should run and another one has';
comment on column millrace.relay_member.stopped is 'routes that this relay has stopped until a person resumes them';
`;

/** Who works on this source. Locks: creates a table only; nothing that exists is locked. */
export const relayMemberMigration: Migration = {
  version: 3,
  name: 'relay members',
  up: RELAY_MEMBER,
  down: `drop table millrace.relay_member;`,
};
