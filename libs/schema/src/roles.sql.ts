/** The group roles that grants are given to; login roles become their members. The owner is the role that migrates. */
export const GROUP_ROLES = ['millrace_producer', 'millrace_relay', 'millrace_consumer'] as const;

/**
 * Roles belong to the cluster: another database's migration may make the same one at this moment, and the migrating
 * role may lack CREATEROLE. Neither is an error; the caller looks at what is there afterwards.
 */
export const CREATE_ROLES = `do $roles$
declare
  wanted text;
begin
  foreach wanted in array array['${GROUP_ROLES.join("', '")}'] loop
    if to_regrole(wanted) is null then
      begin
        execute format('create role %I nologin', wanted);
      exception when duplicate_object or unique_violation or insufficient_privilege then
        null;
      end;
    end if;
  end loop;
end
$roles$;`;

export const MISSING_ROLES = `
select r.name from unnest(array['${GROUP_ROLES.join("', '")}']) as r (name) where to_regrole(r.name) is null`;

/**
 * Repeatable, so that roles made later by a DBA get their rights at the next run. A producer may not set `position`
 * (a supplied one below the ledger would never be read) nor `occurred_at`, and reads back what RETURNING needs.
 */
export const GRANTS = `do $grants$
declare
  leaf regclass;
begin
  revoke all on schema millrace from public;
  revoke all on all tables in schema millrace from public;
  revoke all on all sequences in schema millrace from public;
  revoke all on all functions in schema millrace from public;

  if to_regrole('millrace_producer') is not null then
    grant usage on schema millrace to millrace_producer;
    grant insert (id, aggregatetype, aggregateid, type, aggregateversion, schemaversion, payload, headers)
      on millrace.outbox to millrace_producer;
    grant select (position, id) on millrace.outbox to millrace_producer;
    grant usage on sequence millrace.position to millrace_producer;
    grant select on millrace.migration to millrace_producer;
  end if;

  if to_regrole('millrace_relay') is not null then
    grant usage on schema millrace to millrace_relay;
    grant select on millrace.outbox, millrace.outbox_default, millrace.outbox_leaf, millrace.migration to millrace_relay;
    for leaf in select l.leaf from millrace.outbox_leaf l loop
      execute format('grant select on %s to millrace_relay', leaf);
    end loop;
    grant select on sequence millrace.position to millrace_relay;
    grant select, insert, update, delete
      on millrace.ledger, millrace.ledger_gap, millrace.ledger_leaf, millrace.ledger_offset, millrace.relay_member,
      millrace.held, millrace.held_key to millrace_relay;
    grant select, insert, delete on millrace.checkpoint to millrace_relay;
    grant select, insert on millrace.audit to millrace_relay;
    grant select, insert, update on millrace.route_shards to millrace_relay;
    grant select on millrace.incident to millrace_relay;
    grant select, insert, delete on millrace.fork_record to millrace_relay;
    grant execute on function millrace.ensure_leaves(integer, bigint), millrace.leaves_ahead(), millrace.last_position(),
      millrace.leaf_verdict(bigint, bigint), millrace.empty_leaf(bigint, bigint, bigint), millrace.drop_empty_leaves(integer),
      millrace.route_holds(text, bigint), millrace.expire_route(text, bigint, bigint, bigint, bigint),
      millrace.let_route_go_on(text, text, text, bigint), millrace.accept_leaf_count(bigint, text, text, bigint), millrace.ensure_publication(),
      millrace.set_shards(text, integer, text, text), millrace.finish_resharding(text, text, bigint), millrace.shard_names(text, integer),
      millrace.fork_reserve(text, bigint, bigint, text[], bigint, bigint),
      millrace.fork_complete(text, bigint, text[], bigint, bigint, bigint)
      to millrace_relay;
    grant select on millrace.delivery_topic, millrace.delivery_partition, millrace.delivery to millrace_relay;
    grant execute on function millrace.open_delivery_topic(text, integer), millrace.remove_delivered(bigint, bigint, integer),
      millrace.deliver(text, integer, text, text, bigint, bigint, bigint[], smallint[], integer[], bytea) to millrace_relay;
  end if;

  if to_regrole('millrace_consumer') is not null then
    grant usage on schema millrace to millrace_consumer;
    grant select on millrace.migration to millrace_consumer;
    grant select, insert, update, delete
      on millrace.inbox, millrace.inbox_floor, millrace.inbox_partition, millrace.inbox_held, millrace.inbox_held_key
      to millrace_consumer;
    grant select on millrace.delivery_topic, millrace.delivery_partition, millrace.delivery to millrace_consumer;
    grant select, insert, update, delete on millrace.delivery_member, millrace.delivery_place to millrace_consumer;
    grant insert on millrace.audit to millrace_consumer;
  end if;
end
$grants$;`;
