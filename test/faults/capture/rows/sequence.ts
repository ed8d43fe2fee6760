import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { ownEventsSql } from '../own-events.js';
import { type RowWorld } from '../row-world.js';

/** The sequence is looked at every ten seconds. */
const TOLD_MS = 20_000;
const FAR = 1_000n;
const FREE_POSITION_SQL = `select p::text as position from generate_series(1, (select min(low) from millrace.ledger)) p
where not exists (select from millrace.outbox o where o.position = p) limit 1`;
const MISCOUNT_SQL =
  "select route, rows_found::text, counted::text from millrace.leaf_miscount(1, 'millrace.outbox_p1')";

/**
 * Each breach stops the route by name before anything new is passed over; the operator does what the error says, and
 * resumes.
 */
export const SEQUENCE: CaptureRow = {
  id: '57',
  title: 'sequence with a cache, restarted, explicit positions: a named stop, and what the operator does',
  modes: BOTH_MODES,
  async run(world) {
    await world.begin();
    await world.recovers('the start');
    await world.endLoad();
    await world.settles();
    await stopsAndGoesOn(world, {
      name: 'cached',
      breach: 'alter sequence millrace.position cache 10',
      code: 'sequence_undisciplined',
      repair: 'alter sequence millrace.position cache 1 increment 1 no cycle',
    });
    await stopsAndGoesOn(world, {
      name: 'restarted',
      breach: 'alter sequence millrace.position restart with 1',
      code: 'sequence_behind',
      repair: `select setval('millrace.position', ${await world.lastCommitted()})`,
    });
    const far = (await world.lastCommitted()) + FAR;
    await stopsAndGoesOn(world, {
      name: 'explicit',
      breach: explicitSql(far, 'ahead-0'),
      code: 'sequence_behind',
      repair: `select setval('millrace.position', ${far})`,
    });
    await explicitBelow(world);
  },
};

interface Breach {
  readonly name: string;
  readonly breach: string;
  readonly code: string;
  readonly repair: string;
}

async function stopsAndGoesOn(world: RowWorld, { name, breach, code, repair }: Breach): Promise<void> {
  const mark = world.logMark();
  await world.query(breach);
  await world.tells(new RegExp(`route stopped.*${code}|${code}.*route stopped`), mark, TOLD_MS);
  const isShown = await world.holds(TOLD_MS, async () =>
    (await world.routeViews()).some(({ state }) => state.kind === 'stopped' && state.problem?.code === code),
  );
  if (!isShown) {
    world.found('told', `the status does not show ${code}`);
  }
  await world.query(repair);
  for (const relay of world.relays.values()) {
    await relay.admin('POST', `routes/${world.routes[0]?.name ?? ''}/resume`, { reason: 'the sequence is mended' });
  }
  await world.query(ownEventsSql({ name, keys: 5, versions: 4 }));
  await world.recovers(`the operator mended: ${name}`);
}

/** A row that somebody puts below what is settled is never read, and the count of its leaf tells of it. */
async function explicitBelow(world: RowWorld): Promise<void> {
  await world.settles();
  const [free] = await world.query<{ position: string }>(FREE_POSITION_SQL);
  if (free === undefined) {
    throw new Error('No position below the settled ones is free: the load rolls nothing back.');
  }
  const before = await world.query<{ route: string | null }>(MISCOUNT_SQL);
  await world.query(explicitSql(BigInt(free.position), 'below-0'));
  const after = await world.query<{ route: string | null; rows_found: string; counted: string }>(MISCOUNT_SQL);
  if (before[0]?.route !== null || typeof after[0]?.route !== 'string') {
    world.found('told', `the leaf's count does not tell of a row below: ${JSON.stringify({ before, after })}`);
  }
  world.excuses(({ kind, text }) => kind === 'lost' && text.includes('(key below-0,'));
  world.note('a row put below is told by the count of its leaf');
}

function explicitSql(position: bigint, key: string): string {
  return `with event as (
  insert into millrace.outbox (position, id, aggregatetype, aggregateid, type, aggregateversion, payload)
  values (${position}, gen_random_uuid(), 'order', '${key}', 'order.changed', 1, '{}') returning id
) insert into truth (id, key, version) select id, '${key}', 1 from event`;
}
