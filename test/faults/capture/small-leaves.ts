import { type LeafToArchive } from '@millrace/capture';
import { type RowWorld } from './row-world.js';

/** The first ten leaves are a million wide; the small ones follow them. */
const BIG_LEAVES = 10;
const FIRST = 10_000_001;

/** To be called before anything is written: the outbox goes on in leaves of `width` positions, so that many fill up. */
export async function useSmallLeaves(world: RowWorld, leaves: number, width: number): Promise<void> {
  await world.query('select millrace.ensure_leaves($1, $2)', [BIG_LEAVES + leaves, width]);
  await world.query("select setval('millrace.position', $1)", [FIRST - 1]);
}

/** What retention removes is kept for the check; repeatable. */
export async function keepLeaf(world: RowWorld, { table, lo, last }: LeafToArchive): Promise<void> {
  await world.query(`with removed as (delete from kept_outbox where position between ${lo} and ${last} returning id)
insert into kept_outbox select * from ${table}`);
}
