import { type CapturePort, createOutboxSource } from '@millrace/capture';
import type pg from 'pg';
import { withClient } from '../../../harness/servers.js';
import { type CaptureRow } from '../capture-row.js';
import { type RowWorld } from '../row-world.js';

const HELD_MS = 120_000;
const QUARTERS = 4;
/** The last quarter against the first: what a busy machine may do, and what a growing chain of versions would exceed. */
const FACTOR_MAX = 2;
const EXTRA_MS = 0.3;
const [FLAT, CONTROL] = ['flat', 'control'];
const CONTROL_SQL = `insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline, counted_from)
select '${CONTROL}', low, high, 0, system_identifier, timeline, counted_from from millrace.ledger where route = '${FLAT}'`;
/** The wrong rule: the row is looked for by its route, through all its versions. */
const BY_ROUTE = {
  name: 'control',
  text: `update millrace.ledger set updated_at = clock_timestamp() where route = '${CONTROL}' and epoch = 0`,
};

interface Times {
  readonly ours: number[][];
  readonly control: number[][];
}

/** One ledger write of ours, one of the control, and so on, as fast as they go. */
async function write(capture: CapturePort, client: pg.Client): Promise<Times> {
  const empty = (): number[][] => Array.from({ length: QUARTERS }, () => []);
  const [ours, control] = [empty(), empty()];
  const startedMs = performance.now();
  for (let atMs = 0; atMs < HELD_MS; atMs = performance.now() - startedMs) {
    const quarter = Math.floor((atMs / HELD_MS) * QUARTERS);
    ours[quarter]?.push(await timed(async () => capture.renew()));
    control[quarter]?.push(await timed(async () => client.query(BY_ROUTE)));
  }
  return { ours, control };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** A ledger of its own, with the very statement that the relay's is written by. */
async function claim(world: RowWorld): Promise<CapturePort> {
  const source = createOutboxSource({ name: 'main', databaseUrl: world.databaseUrl });
  const claimed = await source.claim({
    route: FLAT,
    owner: 'the fault run',
    ttlMs: 60_000,
    from: { kind: 'now' },
    aggregateTypes: null,
  });
  if (claimed.kind !== 'claimed') {
    throw new Error(`Route ${FLAT} was to be claimed, and is ${claimed.kind}.`);
  }
  return claimed.capture;
}

/** A report, a dump or a stuck standby: no version of a row that was there then or came since can be removed. */
export const OLD_SNAPSHOT: CaptureRow = {
  id: '68',
  title: 'a snapshot held for 2 minutes (the matrix says 10) while a ledger is written hundreds of times a second',
  modes: ['polling'],
  async run(world) {
    await world.begin({ eventsPerSecond: 50 });
    const capture = await claim(world);
    await world.query(CONTROL_SQL);
    const { ours, control } = await withClient(world.databaseUrl, async (holder) => {
      await holder.query('begin isolation level repeatable read');
      await holder.query('select count(*) from millrace.ledger');
      const times = await withClient(world.databaseUrl, async (client) => write(capture, client));
      await holder.query('commit');
      return times;
    });
    await capture.close();
    await world.query('delete from millrace.ledger where route = any($1)', [[FLAT, CONTROL]]);
    judge(world, ours.map(median), control.map(median));
    world.note(`${Math.round((ours.flat().length * 1_000) / HELD_MS)} writes of each a second`);
  },
};

function judge(world: RowWorld, ours: readonly number[], control: readonly number[]): void {
  const text = (quarters: readonly number[]): string => quarters.map((ms) => ms.toFixed(2)).join(', ');
  world.note(`ms a write by quarter: ${text(ours)}; looked for by route: ${text(control)}`);
  const limitMs = (quarters: readonly number[]): number => (quarters[0] ?? 0) * FACTOR_MAX + EXTRA_MS;
  if ((ours.at(-1) ?? Infinity) > limitMs(ours)) {
    world.found('bounded', `a ledger write takes longer and longer: ${text(ours)} ms`);
  }
  if ((control.at(-1) ?? 0) <= (ours.at(-1) ?? 0)) {
    world.found('unmet', `the wrong rule is not slower: ${text(control)} ms`);
  }
}

function median(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
