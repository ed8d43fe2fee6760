import { setTimeout as sleep } from 'node:timers/promises';
import { createRetentionKeeper } from '@millrace/capture';
import { withClient } from '../../../harness/servers.js';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { ownEventsSql } from '../own-events.js';
import { type RowWorld } from '../row-world.js';
import { keepLeaf, useSmallLeaves } from '../small-leaves.js';

const LEAVES = { count: 150, width: 300 };
/** Before anything stands in the way: some fifty leaves that retention may empty. */
const HISTORY = { name: 'history', keys: 150, versions: 100 };
const BESIDE_MS = 30_000;
const RETENTION_EVERY_MS = 500;
const PRODUCERS = 4;
const INSERT_EVERY_MS = 10;
/** Millisecond bounds far below the 30 s of the transaction: a wait for it would be seen, a busy machine is not. */
const INSERT_P99_MS = 1_000;
const INSERT_MAX_MS = 5_000;
const READ_SQL = 'select leaf::text as leaf from millrace.outbox_leaf where lo > 10000000 order by lo offset 5 limit 1';

interface Removed {
  readonly emptied: number;
  readonly dropped: number;
  readonly made: number;
}

/** A transaction that has inserted, and one that reads an old leaf, both open all the time. */
async function standInTheWay(world: RowWorld): Promise<void> {
  await withClient(world.databaseUrl, async (writer) =>
    withClient(world.databaseUrl, async (reader) => {
      await writer.query('begin');
      await writer.query(ownEventsSql({ name: 'open', keys: 2, versions: 2 }));
      const { rows } = await reader.query<{ leaf: string }>(READ_SQL);
      await reader.query('begin');
      await reader.query(`select count(*) from ${rows[0]?.leaf ?? 'millrace.outbox'}`);
      await sleep(BESIDE_MS);
      await reader.query('rollback');
      await writer.query('commit');
    }),
  );
}

/** A keeper for each run, as if by several relays, so that each run also removes emptied leaves. */
async function retain(world: RowWorld, isOver: () => boolean): Promise<Removed> {
  let [emptied, dropped] = [0, 0];
  const before = await leavesEnd(world);
  while (!isOver()) {
    const keeper = createRetentionKeeper({
      source: 'main',
      databaseUrl: world.relayUrl(),
      policy: { keepMs: 0, maxAgeMs: null, maxBytes: null },
      observer: {},
      archive: async (leaf) => keepLeaf(world, leaf),
    });
    const report = await keeper.run();
    emptied += report.emptied.length;
    dropped += report.leavesDropped;
    report.alarms.forEach(({ kind }) => {
      world.found('other', `retention raised ${kind}`);
    });
    await world.query('select millrace.ensure_leaves(millrace.leaves_ahead() + 1, $1)', [LEAVES.width]);
    await sleep(RETENTION_EVERY_MS);
  }
  return { emptied, dropped, made: ((await leavesEnd(world)) - before) / LEAVES.width };
}

async function leavesEnd(world: RowWorld): Promise<number> {
  const [row] = await world.query<{ hi: number }>('select max(hi)::int as hi from millrace.outbox_leaf');
  return row?.hi ?? 0;
}

/** Milliseconds of each insert of one producer. */
async function produce(world: RowWorld, name: string, isOver: () => boolean): Promise<number[]> {
  return withClient(world.databaseUrl, async (client) => {
    const times: number[] = [];
    for (let version = 1; !isOver(); version += 1) {
      const sql = ownEventsSql({ name, keys: 1, versions: 1, from: version });
      const startedMs = performance.now();
      await client.query(sql);
      times.push(performance.now() - startedMs);
      await sleep(INSERT_EVERY_MS);
    }
    return times;
  });
}

/** What retention does must not make a producer wait for whoever has the outbox open. */
export const RETENTION_BESIDE_PRODUCERS: CaptureRow = {
  id: '61',
  title: 'retention, leaf creation and a replay read beside a 30 s transaction',
  modes: BOTH_MODES,
  async run(world) {
    await useSmallLeaves(world, LEAVES.count, LEAVES.width);
    await world.begin();
    await world.query(ownEventsSql(HISTORY));
    await world.settles();
    let isOver = false;
    const over = (): boolean => isOver;
    const names = Array.from({ length: PRODUCERS }, (_, index) => `timed-${index}`);
    const [removed, ...times] = await Promise.all([
      retain(world, over),
      ...names.map(async (name) => produce(world, name, over)),
      standInTheWay(world)
        .finally(() => {
          isOver = true;
        })
        .then(() => []),
    ]);
    judge(world, removed, times.flat());
    await world.recovers('the transaction and the read');
  },
};

function judge(world: RowWorld, { emptied, dropped, made }: Removed, times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? Infinity);
  const [median, p99, max] = [at(0.5), at(0.99), at(1)];
  world.note(`${sorted.length} inserts: p50 ${median}, p99 ${p99}, max ${max} ms`);
  world.note(`${emptied} leaves emptied, ${dropped} removed, ${made} made meanwhile`);
  if (emptied === 0 || made === 0) {
    world.found('unmet', 'retention had nothing to empty, or no leaf was made');
  }
  if (p99 > INSERT_P99_MS || max > INSERT_MAX_MS) {
    world.found('bounded', `a producer's insert took ${max} ms, ${p99} ms at the 99th percentile`);
  }
}
