/** Events beside the load's, of keys that the load does not use. */
export interface OwnEvents {
  /** The keys are `<name>-0` to `<name>-<keys - 1>`. */
  readonly name: string;
  readonly keys: number;
  /** Versions of each key, from `from` on. */
  readonly versions: number;
  /** The first version; 1 when left out. */
  readonly from?: number;
  /** Bytes of filler in each payload; none when left out. */
  readonly fillerBytes?: number;
  /** How long a handler of the consume rows is to work on each; not at all when left out. */
  readonly workMs?: number;
}

/** One statement that inserts the events and what the check needs to know of them, version after version. */
export function ownEventsSql({ name, keys, versions, from = 1, fillerBytes = 0, workMs = 0 }: OwnEvents): string {
  return `with event as materialized (
  select gen_random_uuid() as id, '${name}-' || n % ${keys} as key, n / ${keys} + ${from} as version
  from generate_series(0, ${keys * versions - 1}) n order by n
), truth as (
  insert into truth (id, key, version) select id, key, version from event
)
insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
select id, 'order', key, 'order.changed', version,
  ('{"key":"' || key || '","workMs":${workMs},"version": ' || version || ',"own":  "${'x'.repeat(fillerBytes)}"}')::json from event`;
}
