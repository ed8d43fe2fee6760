import { createOutboxSource, type CapturePort } from '@millrace/capture';
import { say } from '../../harness/say.js';
import { createMigratedDatabase, type Servers, withClient } from '../../harness/servers.js';

/** A database with an outbox, and the capture of its route, which has settled all its rows. */
export interface BenchOutbox {
  readonly name: string;
  readonly databaseUrl: string;
  readonly capture: CapturePort;
}

/** The same twice, on one server: without rows, and with many. */
export interface OutboxPair {
  readonly empty: BenchOutbox;
  readonly full: BenchOutbox;
  readonly leaves: number;
  /** Of the table and its indexes. */
  readonly bytes: number;
}

/** Of the routes; what reads as it does is shown as `millrace bench reader` by the server. */
export const ROUTE = 'bench';
const LEAF_ROWS = 1_000_000;
const LEAVES = 20;
const LEAVES_AHEAD = 10;
const TTL_MS = 600_000;

/** Rows as small as they get: what is measured is their number. */
const FILL_SQL = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
select uuidv7(), 'order', 'order-' || n % 10000, 'order.placed', '{}' from generate_series(1, $1::bigint) n`;
/** As a relay leaves it that has read and settled everything. */
const SETTLE_SQL = `with settled as (
  update millrace.ledger set low = millrace.last_position(), high = millrace.last_position() returning route
)
insert into millrace.ledger_leaf (route, leaf_lo, rows_read)
select route, lo, $1 from settled, millrace.outbox_leaf where hi - 1 <= millrace.last_position()`;
/** To the end of the leaf, when that is to have fewer rows. */
const END_LEAF_SQL = `select setval('millrace.position', hi - 1) from millrace.outbox_leaf
where millrace.last_position() between lo and hi - 1`;
const SIZE_SQL = `select sum(pg_total_relation_size(leaf)) as bytes from millrace.outbox_leaf`;

/** Makes both. `rows` fill leaves of a million; when they are fewer than twenty million, they are in twenty leaves all the same. */
export async function makeOutboxPair(servers: Servers, rows: number): Promise<OutboxPair> {
  const leafRows = Math.min(LEAF_ROWS, Math.floor(rows / LEAVES));
  const leaves = Math.floor(rows / leafRows);
  const empty = await makeOutbox(servers, 'empty_outbox', { leaves: 0, leafRows });
  const full = await makeOutbox(servers, 'full_outbox', { leaves, leafRows });
  const bytes = await withClient(full.databaseUrl, async (client) => {
    const { rows: sizes } = await client.query<{ bytes: string }>(SIZE_SQL);
    return Number(sizes[0]?.bytes);
  });
  return { empty, full, leaves, bytes };
}

async function makeOutbox(
  { postgres }: Servers,
  name: string,
  { leaves, leafRows }: { readonly leaves: number; readonly leafRows: number },
): Promise<BenchOutbox> {
  const databaseUrl = await createMigratedDatabase(postgres, name);
  const capture = await claim(databaseUrl); // counts from the first row on
  await capture.close();
  await withClient(databaseUrl, async (client) => {
    await client.query('select millrace.ensure_leaves($1)', [leaves + LEAVES_AHEAD]);
    const startedMs = performance.now();
    for (let leaf = 1; leaf <= leaves; leaf += 1) {
      await client.query(FILL_SQL, [leafRows]);
      await client.query(END_LEAF_SQL);
    }
    await client.query('vacuum (freeze, analyze) millrace.outbox');
    await client.query(SETTLE_SQL, [leafRows]);
    await client.query('checkpoint');
    say(
      `${name}: ${leaves} leaves of ${leafRows} rows, made in ${Math.round((performance.now() - startedMs) / 1_000)} s`,
    );
  });
  return { name, databaseUrl, capture: await claim(databaseUrl) };
}

async function claim(databaseUrl: string): Promise<CapturePort> {
  const source = createOutboxSource({ name: 'bench', databaseUrl });
  const from = { kind: 'earliest' } as const;
  const result = await source.claim({ route: ROUTE, owner: 'bench', ttlMs: TTL_MS, from, aggregateTypes: null });
  if (result.kind !== 'claimed') {
    throw new Error('The route of the benchmark is held by another owner.');
  }
  return result.capture;
}
