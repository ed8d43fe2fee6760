import { type Migration } from '../migration.js';

/**
 * The publication that the relay streams from. It belongs to the owner of the schema, and a function of his makes it,
 * so that the relay's role needs no right on the table (a publication may be made by the table's owner with CREATE on
 * the database alone). The function makes it anew only when it is not as it must be: a slot that is older than the
 * publication's present form is dropped. A database whose owner of the schema may not make publications is migrated all
 * the same.
 */
const PUBLICATION = `
create function millrace.ensure_publication() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $body$
begin
  perform pg_advisory_xact_lock(hashtextextended('millrace.ensure_publication', 0));
  if exists (
    select from pg_publication p join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = 'millrace.outbox'::regclass
    where p.pubname = 'millrace' and p.pubinsert and p.pubviaroot
      and not (p.pubupdate or p.pubdelete or p.pubtruncate or p.puballtables)
      and r.prqual is null and r.prattrs is null
      and not exists (select from pg_publication_rel o where o.prpubid = p.oid and o.oid <> r.oid)
      and not exists (select from pg_publication_namespace n where n.pnpubid = p.oid)
  ) then
    return;
  end if;
  drop publication if exists millrace;
  create publication millrace for table millrace.outbox with (publish = 'insert', publish_via_partition_root = true);
end
$body$;
revoke all on function millrace.ensure_publication() from public;
do $make$
begin
  perform millrace.ensure_publication();
exception when insufficient_privilege then
  raise warning 'publication millrace was not made: %', sqlerrm
    using hint = 'Capture by polling works without it. For capture from the WAL grant CREATE on the database to the owner of schema millrace.';
end
$make$;
`;

const CAPTURE_MODE = `
alter table millrace.ledger add column capture text
  constraint ledger_capture_is_known check (capture in ('polling', 'wal', 'auto'));
comment on column millrace.ledger.capture is 'how the route learns of new rows, as an operator has set it; null: as configured';
`;

/**
 * Capture from the WAL. Locks: CREATE PUBLICATION takes SHARE UPDATE EXCLUSIVE on the outbox, which no producer
 * conflicts with; the new column of the ledger an exclusive lock on it for a moment, for which relays wait.
 */
export const publicationMigration: Migration = {
  version: 5,
  name: 'publication and capture mode',
  up: PUBLICATION + CAPTURE_MODE,
  down: `alter table millrace.ledger drop column capture;
drop publication if exists millrace;
drop function millrace.ensure_publication();`,
};
