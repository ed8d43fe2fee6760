/** Serialises migrations of one database; released with the transaction, so it works behind a pooler. */
export const MIGRATION_LOCK = `select pg_advisory_xact_lock(hashtextextended('millrace.migration', 0))`;

/** A DBA may have made the schema beforehand, so that the migrating role needs no right to create schemas. */
export const CREATE_HISTORY = `do $history$
begin
  if to_regnamespace('millrace') is null then
    create schema millrace;
  end if;
end
$history$;

create table millrace.migration (
  version integer constraint migration_pk primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp()
);`;

export const READ_HISTORY = `select version, name, checksum from millrace.migration order by version`;
