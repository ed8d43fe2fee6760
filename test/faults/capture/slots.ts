import { type RowWorld } from './row-world.js';

/** A slot of ours as the server shows it. */
export interface SlotRow {
  readonly slot_name: string;
  readonly active_pid: number | null;
  readonly wal_status: string | null;
  readonly invalidation_reason: string | null;
  readonly confirmed_flush_lsn: string | null;
  readonly retained_bytes: string | null;
}

const SLOTS_SQL = `select slot_name, active_pid, wal_status, invalidation_reason, confirmed_flush_lsn::text,
  (pg_current_wal_lsn() - restart_lsn)::text as retained_bytes
from pg_replication_slots where slot_name like 'millrace\\_%'`;
const END_READERS_SQL = `select pg_terminate_backend(active_pid) from pg_replication_slots
where slot_name like 'millrace\\_%' and active_pid is not null`;
/** About a megabyte of WAL for each 900 rows, of a table that no stream tells of: it goes on past a reader that is frozen. */
const FLOOD_SQL = "insert into flood select repeat('x', 1000) from generate_series(1, 900 * $1::int)";

/** The slots of the relays under test. */
export async function slotsOf(world: RowWorld): Promise<SlotRow[]> {
  return world.query<SlotRow>(SLOTS_SQL);
}

/** Ends the readers of our slots, as an operator does; returns how many there were. */
export async function endWalsenders(world: RowWorld): Promise<number> {
  return (await world.query(END_READERS_SQL)).length;
}

/** Writes so much WAL, and a checkpoint, after which the server takes stock of its slots. */
export async function floodWal(world: RowWorld, mebibytes: number): Promise<void> {
  await world.query('create table if not exists flood (text text)');
  await world.query(FLOOD_SQL, [mebibytes]);
  await world.query('truncate flood');
  await world.query('checkpoint');
}

/** The fault of a row has to be there: one of our slots was given up for this reason. */
export async function requireInvalidated(world: RowWorld, reason: string): Promise<void> {
  const slots = await slotsOf(world);
  if (!slots.some((slot) => slot.invalidation_reason === reason)) {
    const seen = slots.map((slot) => `${slot.slot_name} ${slot.wal_status ?? ''} ${slot.invalidation_reason ?? ''}`);
    world.found('unmet', `no slot was invalidated for ${reason}, but there is: ${seen.join(', ')}`);
  }
}
