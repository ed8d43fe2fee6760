/**
 * What the schema's migration has to make, as the owner of schema `millrace`, so that the relay's role needs no right on
 * the table (a publication may be made by the table's owner with CREATE on the database alone). The function makes the
 * publication anew only when it is not as it must be: a slot that is older than the publication's present form is
 * dropped. A database whose owner of the schema may not make publications is migrated all the same. CREATE PUBLICATION takes SHARE UPDATE EXCLUSIVE on the outbox, which no producer conflicts with.
 */
export const PUBLICATION_FUNCTION = `
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
do $grant$
begin
  if to_regrole('millrace_relay') is not null then
    grant execute on function millrace.ensure_publication() to millrace_relay;
  end if;
end
$grant$;
do $make$
begin
  perform millrace.ensure_publication();
exception when insufficient_privilege then
  raise warning 'publication millrace was not made: %', sqlerrm
    using hint = 'Capture by polling works without it. For capture from the WAL grant CREATE on the database to the owner of schema millrace.';
end
$make$;
`;
