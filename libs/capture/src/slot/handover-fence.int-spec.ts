import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { toPosition } from '@millrace/events';
import { migrate } from '@millrace/schema';
import { FAST_UNSAFE_SETTINGS, TemporaryPostgres } from '@millrace/testing';
import pg from 'pg';
import { PgConnection } from '../pg-connection.js';
import { PgOutboxReader } from '../pg-outbox-reader.js';
import { formatLsn, parseLsn } from '../lsn.js';
import { pollCoverage, readFenceMarks } from './fence-reading.js';
import { confirmableLsn, FENCE_DOWN, type FenceState, fenceStep } from './handover-fence.js';

/**
 * Whoever asks for it waits at his commit for a standby that does not exist: what he writes is on the disk and not yet
 * visible for as long as a test needs.
 */
const SETTINGS = {
  ...FAST_UNSAFE_SETTINGS,
  autovacuum: 'off', // the fence stays up for its transactions as well
  synchronous_standby_names: 'absent',
  synchronous_commit: 'local',
};
const SLOT = 'millrace_fence';

let server: TemporaryPostgres;
let admin: pg.Client;
let writer: pg.Client;
let connection: PgConnection;
let reader: PgOutboxReader;
let slotLsn: bigint;
let fence: FenceState;
let pages: number;

beforeAll(async () => {
  server = new TemporaryPostgres(SETTINGS);
  await server.start();
  await migrate({ databaseUrl: server.adminUrl });
  admin = await connect();
});

afterAll(async () => {
  await admin.end();
  await server.remove();
});

beforeEach(async () => {
  writer = await connect();
  await writer.query('set synchronous_commit = on');
  connection = new PgConnection({ databaseUrl: server.adminUrl, applicationName: 'fence' });
  reader = new PgOutboxReader(connection, { aggregateTypes: null });
  const { rows } = await admin.query<{ lsn: string }>(
    `select lsn::text from pg_create_logical_replication_slot('${SLOT}', 'pgoutput')`,
  );
  slotLsn = parseLsn(rows[0]?.lsn ?? '');
  fence = FENCE_DOWN;
  pages = 0;
});

afterEach(async () => {
  await letItCommit();
  await reader.close();
  await writer.end();
  await admin.query(`select pg_drop_replication_slot('${SLOT}')`);
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  return client;
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) {
      throw new Error(`This never happened: ${what}.`);
    }
    await sleep(10);
  }
}

/** A commit that is on the disk and not visible. */
async function hangingCommit(): Promise<{ readonly over: Promise<unknown> }> {
  const over = writer.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
    values (gen_random_uuid(), 'order', 'o-1', 'order.placed', '{}')`);
  await until('the commit waits for the standby', async () => {
    const { rowCount } = await admin.query(`select from pg_stat_activity where wait_event = 'SyncRep'`);
    return rowCount === 1;
  });
  return { over };
}

/** Takes from the writer, if he waits, the wish to wait for the standby; the commit itself cannot be cancelled. */
async function letItCommit(): Promise<void> {
  await admin.query(`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`);
}

async function putUp(): Promise<void> {
  fence = fenceStep(fence, { kind: 'put-up', marks: await readFenceMarks(connection, slotLsn) });
}

/** One poll of everything, and its page settled; the number of rows. */
async function pollAndSettle(): Promise<number> {
  const request = { above: toPosition(0), reach: null, gaps: [], rowsMax: 100, bytesMax: 1_000_000 };
  const result = await reader.poll(request);
  const page = ++pages;
  fence = fenceStep(fence, {
    kind: 'page-read',
    page,
    isChanged: result.rows.length > 0,
    endedBelow: result.snapshotXmin,
    coveredTo: pollCoverage(request, result),
  });
  fence = fenceStep(fence, { kind: 'page-settled', page });
  return result.rows.length;
}

/** What the slot still delivers after it has confirmed `lsn`: the number of inserts. */
async function delivered(lsn: bigint): Promise<number> {
  await admin.query('select pg_replication_slot_advance($1, $2)', [SLOT, formatLsn(lsn)]);
  const { rows } = await admin.query<{ data: Buffer }>(
    `select data from pg_logical_slot_peek_binary_changes('${SLOT}', null, null, 'proto_version', '1', 'publication_names', 'millrace')`,
  );
  return rows.filter(({ data }) => data.toString('latin1').startsWith('I')).length;
}

describe('beside a commit that is on the disk and not yet visible', () => {
  it('the fence stays up until it can be seen and is settled, and then nothing is missing', async () => {
    const before = await rowsInTable();
    const commit = await hangingCommit();
    await putUp();

    expect([await pollAndSettle(), await pollAndSettle()]).toEqual([before, before]);
    expect(confirmableLsn(fence)).toBeNull();
    await letItCommit();
    await commit.over;

    expect(await pollAndSettle()).toBe(before + 1);
    const confirmable = confirmableLsn(fence);
    expect(confirmable).toBeGreaterThanOrEqual(slotLsn);
    expect(await delivered(confirmable ?? 0n)).toBe(0);
  });

  it('a slot that confirms after an empty poll never delivers it', async () => {
    const before = await rowsInTable();
    const commit = await hangingCommit();
    const { flushLsn } = await readFenceMarks(connection, slotLsn);
    expect(await rowsInTable()).toBe(before);

    const missed = await delivered(flushLsn);
    await letItCommit();
    await commit.over;

    expect(missed).toBe(0);
    expect(await delivered(flushLsn)).toBe(0);
    expect(await rowsInTable()).toBe(before + 1);
  });

  it('the fence falls at once when nobody writes, at or above where the slot begins', async () => {
    await putUp();
    await pollAndSettle();
    expect(confirmableLsn(fence)).toBeGreaterThanOrEqual(slotLsn);
  });
});

async function rowsInTable(): Promise<number> {
  return (await admin.query('select from millrace.outbox')).rowCount ?? 0;
}
