import { setTimeout as sleep } from 'node:timers/promises';
import { createRetentionKeeper, type RetentionReport } from '@millrace/capture';
import pg from 'pg';
import { withClient } from '../../harness/servers.js';
import { percentile } from '../statistics.js';
import { markdownTable, text } from '../table.js';
import { insertTimes } from './insert-times.js';
import { type BenchOutbox } from './outbox-pair.js';

/** What goes on beside the producers for the length of a phase. */
interface Phase {
  readonly name: string;
  readonly hasRetention: boolean;
  /** Statements of a transaction that stays open for as long. */
  readonly transaction: readonly string[];
  readonly hasReplay: boolean;
}

const CONNECTIONS = 8;
const PER_SECOND = 500;
const RETENTION_EVERY_MS = 1_000;
const REPLAY_PAGE = 5_000;
const COLUMNS = [
  `producers, ${PER_SECOND} inserts/s`,
  'p50 ms',
  'p99 ms',
  'max ms',
  'inserts',
  'leaves emptied',
  'leaves removed',
  'in the way',
  'rows replayed',
];
const WRITE = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
values (uuidv7(), 'order', 'order-1', 'order.placed', '{}')`;

/** Retention runs every second instead of every minute. The leaves are left for the last phase, which empties them. */
const PHASES: readonly Phase[] = [
  { name: 'alone', hasRetention: false, transaction: [], hasReplay: false },
  {
    name: 'retention, a transaction that has read every leaf',
    hasRetention: true,
    transaction: [WRITE, 'lock table millrace.outbox in access share mode'],
    hasReplay: false,
  },
  {
    name: 'retention, a transaction that has written, a replay',
    hasRetention: true,
    transaction: [WRITE],
    hasReplay: true,
  },
];

/** What producers notice of retention, phase by phase. */
export async function measureRetention(outbox: BenchOutbox, seconds: number): Promise<string> {
  const rows: string[][] = [];
  for (const phase of PHASES) {
    rows.push(await runPhase(outbox, phase, seconds));
  }
  return markdownTable(COLUMNS, rows);
}

async function runPhase({ databaseUrl }: BenchOutbox, phase: Phase, seconds: number): Promise<string[]> {
  const end = new AbortController();
  const holder = await openTransaction(databaseUrl, phase.transaction);
  try {
    const retention = phase.hasRetention ? keepRetaining(databaseUrl, end.signal) : Promise.resolve([]);
    const replay = phase.hasReplay ? keepReplaying(databaseUrl, end.signal) : Promise.resolve(0);
    const producing = insertTimes({ databaseUrl, connections: CONNECTIONS, perSecond: PER_SECOND, seconds });
    const times = await producing.finally(() => {
      end.abort();
    });
    const [reports, replayed] = await Promise.all([retention, replay]);
    const sum = (value: (report: RetentionReport) => number): string =>
      text(reports.reduce((total, report) => total + value(report), 0));
    return [
      phase.name,
      ...[0.5, 0.99, 1].map((share) => text(percentile(times, share), 1)),
      text(times.length),
      sum(({ emptied }) => emptied.length),
      sum(({ leavesDropped }) => leavesDropped),
      obstaclesOf(reports),
      text(replayed),
    ];
  } finally {
    await holder.query('commit');
    await holder.end();
  }
}

/** Why leaves stayed, and how often that was found; `ahead` is the leaf that is being written. */
function obstaclesOf(reports: readonly RetentionReport[]): string {
  const found = reports.flatMap(({ waiting }) => waiting.map(({ obstacle }) => obstacle));
  return [...new Set(found)]
    .map((obstacle) => `${obstacle} ${found.filter((each) => each === obstacle).length}`)
    .join(', ');
}

async function openTransaction(databaseUrl: string, statements: readonly string[]): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin');
  for (const statement of statements) {
    await client.query(statement);
  }
  return client;
}

async function keepRetaining(databaseUrl: string, end: AbortSignal): Promise<RetentionReport[]> {
  const policy = { keepMs: 0, maxAgeMs: null, maxBytes: null };
  const keeper = createRetentionKeeper({ source: 'bench', databaseUrl, policy, observer: {} });
  const reports: RetentionReport[] = [];
  while (!end.aborted) {
    reports.push(await keeper.run());
    await sleep(RETENTION_EVERY_MS);
  }
  return reports;
}

/** Reads all drawn leaves over and over, one at a time by short statements; the rows stay in the server. */
async function keepReplaying(databaseUrl: string, end: AbortSignal): Promise<number> {
  return withClient(databaseUrl, async (client) => {
    let replayed = 0;
    while (!end.aborted) {
      const { rows: leaves } = await client.query<{ leaf: string; lo: string }>(
        'select leaf::text, lo from millrace.outbox_leaf where lo <= millrace.last_position() order by lo',
      );
      for (const { leaf, lo } of leaves) {
        replayed += await replayLeaf(client, { leaf, lo }, end);
      }
    }
    return replayed;
  });
}

async function replayLeaf(
  client: pg.Client,
  { leaf, lo }: { readonly leaf: string; readonly lo: string },
  end: AbortSignal,
): Promise<number> {
  let replayed = 0;
  let above = String(BigInt(lo) - 1n);
  for (let isMore = true; isMore && !end.aborted;) {
    const { rows } = await client.query<{ count: string; last: string | null }>(
      `select count(*), max(position) as last, sum(octet_length(payload::text)) from (
        select position, payload from only ${leaf} where position > $1 order by position limit ${REPLAY_PAGE}) page`,
      [above],
    );
    const count = Number(rows[0]?.count);
    replayed += count;
    above = rows[0]?.last ?? above;
    isMore = count === REPLAY_PAGE;
  }
  return replayed;
}
