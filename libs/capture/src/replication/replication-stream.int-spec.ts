import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { migrate } from '@millrace/schema';
import { TemporaryPostgres, uniqueName } from '@millrace/testing';
import pg from 'pg';
import { systemClock } from '../capture-clock.js';
import { parseLsn } from '../lsn.js';
import { ReplicationStream, type ReplicationStreamOptions } from './replication-stream.js';
import { type StreamedTransaction } from './transaction-queue.js';

const PUBLICATION = 'Millrace "w1", it\'s';
const FORM = `with (publish = 'insert', publish_via_partition_root = true)`;
const MIB = 1024 * 1024;

let server: TemporaryPostgres;
let admin: pg.Client;
let database: string;
let client: pg.Client;
let slot: string;
let streams: ReplicationStream[];

// a server of its own: the making of a slot waits for every transaction that is open on it
beforeAll(async () => {
  server = new TemporaryPostgres({ fsync: 'off', autovacuum: 'off' });
  await server.start();
  admin = await connect('postgres');
  await admin.query('create database outbox');
  await migrate({ databaseUrl: server.databaseUrl('outbox') });
});

afterAll(async () => {
  await admin.end();
  await server.remove();
});

beforeEach(async () => {
  database = uniqueName('stream');
  await admin.query(`create database ${database} template outbox`);
  client = await connect(database);
  streams = [];
  slot = uniqueName('stream');
  await publish(`table millrace.outbox ${FORM}`);
});

afterEach(async () => {
  await Promise.all(streams.map((stream) => stream.close()));
  await slotIsFree();
  await client.query('select pg_drop_replication_slot($1)', [slot]);
  await client.end();
  await admin.query(`drop database ${database}`);
});

async function connect(to: string): Promise<pg.Client> {
  const connected = new pg.Client({ connectionString: server.databaseUrl(to) });
  await connected.connect();
  return connected;
}

/** Makes publication and slot: in this order, or the server refuses what was written between them. */
async function publish(what: string): Promise<void> {
  await client.query(`create publication ${client.escapeIdentifier(PUBLICATION)} for ${what}`);
  await client.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
}

async function open(options: Partial<ReplicationStreamOptions> = {}): Promise<ReplicationStream> {
  const stream = await ReplicationStream.open({
    databaseUrl: server.databaseUrl(database),
    slot,
    publication: PUBLICATION,
    startLsn: 0n,
    applicationName: 'millrace stream spec',
    aggregateTypes: null,
    bytesMax: MIB,
    silenceMs: 20_000,
    clock: systemClock,
    ...options,
  });
  streams.push(stream);
  return stream;
}

/** One event per key, in one transaction. */
async function insert(keys: readonly string[], by = client, payload = '{}'): Promise<void> {
  await by.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     select gen_random_uuid(), 'account', key, 'changed', $2 from unnest($1::text[]) with ordinality k(key, n) order by n`,
    [keys, payload],
  );
}

function keysOf(transaction: StreamedTransaction): string[] {
  return transaction.rows.map(({ event }) => event?.aggregateId ?? 'unwanted');
}

function endOf(transaction: StreamedTransaction): bigint {
  if (!transaction.isLast) {
    throw new Error('The transaction came in parts.');
  }
  return transaction.endLsn;
}

async function slotConfirmed(): Promise<bigint> {
  const { rows } = await client.query<{ lsn: string }>(
    'select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [slot],
  );
  return parseLsn(rows[0]?.lsn ?? '0/0');
}

async function readerOfSlot(): Promise<number | null> {
  const { rows } = await client.query<{ active_pid: number | null }>(
    'select active_pid from pg_replication_slots where slot_name = $1',
    [slot],
  );
  return rows[0]?.active_pid ?? null;
}

/** Of a connection that was cut the server hears a moment later. */
async function slotIsFree(): Promise<void> {
  await until('the slot was free', async () => (await readerOfSlot()) === null);
}

async function walEnd(): Promise<bigint> {
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  return parseLsn(rows[0]?.lsn ?? '0/0');
}

async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) {
      throw new Error(`It never happened that ${what}.`);
    }
    await sleep(10);
  }
}

describe('transactions', () => {
  it('come in the order of their commits, with their rows as written', async () => {
    const stream = await open();
    const late = await connect(database);
    await late.query('begin');
    await insert(['late 1'], late);
    await insert(['early 1', 'early 2']);
    await insert(['late 2'], late);
    await late.query('commit');
    await late.end();

    const first = await stream.nextTransaction();
    const second = await stream.nextTransaction();

    expect([first, second].map(keysOf)).toEqual([
      ['early 1', 'early 2'],
      ['late 1', 'late 2'],
    ]);
    expect(second.rows[0]?.position).toBeLessThan(first.rows[0]?.position ?? 0n);
    expect(endOf(second)).toBeGreaterThan(endOf(first));
  });

  it('are never those that were rolled back, nor what a savepoint took back', async () => {
    const stream = await open();
    await client.query('begin');
    await insert(['rolled back']);
    await client.query('rollback');
    await client.query('begin');
    await insert(['kept']);
    await client.query('savepoint s');
    await insert(['taken back']);
    await client.query('rollback to s');
    await client.query('commit');

    expect(keysOf(await stream.nextTransaction())).toEqual(['kept']);
    expect(stream.takeQueued()).toBeNull();
  });

  it('tell positions alone of types that are not wanted', async () => {
    const stream = await open({ aggregateTypes: ['order'] });
    await insert(['unwanted']);

    const { rows } = await stream.nextTransaction();

    expect(rows).toEqual([{ position: expect.any(BigInt), event: null, bytes: 0 }]);
  });

  it('come in parts when they are large, in bounded memory and while the reports go on', async () => {
    for (const limit of ['wal_sender_timeout', 'transaction_timeout', 'statement_timeout']) {
      await client.query(`alter database ${database} set ${limit} = '5s'`);
    }
    const bytesMax = MIB;
    const stream = await open({ bytesMax });
    await client.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
      select gen_random_uuid(), 'account', n::text, 'changed', jsonb_build_object('filler', repeat('x', 300))
      from generate_series(1, 50000) n`);
    const messageBytes = 1_000;

    const parts: StreamedTransaction[] = [await stream.nextTransaction()];
    await until('the stream was full', () => stream.queuedBytes > bytesMax - 70_000);
    const reports = new Set<string>();
    // a third of the time-out lies between them
    await until('five reports came from a stream that is full', async () => {
      reports.add(await replyTime());
      return reports.size >= 5;
    });
    let highest = stream.queuedBytes;
    while (parts.at(-1)?.isLast !== true) {
      parts.push(await stream.nextTransaction());
      highest = Math.max(highest, stream.queuedBytes);
    }

    expect(highest).toBeLessThanOrEqual(bytesMax + messageBytes);
    expect(parts.length).toBeGreaterThan(20);
    expect(parts.flatMap(keysOf).join()).toBe(Array.from({ length: 50_000 }, (_, index) => index + 1).join());
    expect(new Set(parts.map(({ xid }) => xid)).size).toBe(1);
    expect(await slotConfirmed()).toBeLessThan(stream.receivedLsn);
  });
});

async function replyTime(): Promise<string> {
  const { rows } = await client.query<{ reply: string | null }>(
    `select reply_time::text as reply from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid
     where s.slot_name = $1`,
    [slot],
  );
  return rows[0]?.reply ?? 'none yet';
}

describe('confirming', () => {
  it('decides what comes again: exactly what was not confirmed', async () => {
    const stream = await open();
    for (const key of ['a', 'b', 'c']) {
      await insert([key]);
    }
    const first = await stream.nextTransaction();
    await stream.nextTransaction();
    stream.confirm(endOf(first));
    await stream.close();
    await slotIsFree();

    const again = await open();

    expect(again.confirmedLsn).toBe(endOf(first));
    expect(keysOf(await again.nextTransaction())).toEqual(['b']);
    expect(keysOf(await again.nextTransaction())).toEqual(['c']);
  });

  it('never goes back, not for a start from below the slot either', async () => {
    const stream = await open();
    await insert(['a']);
    await insert(['b']);
    const first = await stream.nextTransaction();
    const second = await stream.nextTransaction();
    stream.confirm(endOf(second));
    stream.confirm(endOf(first));
    await until('the slot was told', async () => (await slotConfirmed()) >= endOf(second));
    await stream.close();
    await slotIsFree();

    const again = await open({ startLsn: endOf(first) });
    await insert(['c']);

    expect(again.confirmedLsn).toBeGreaterThanOrEqual(endOf(second));
    expect(keysOf(await again.nextTransaction())).toEqual(['c']);
    expect(await slotConfirmed()).toBeGreaterThanOrEqual(endOf(second));
  });

  it('begins above what was settled by the table', async () => {
    await insert(['drained']);
    const fence = await walEnd();
    await insert(['fresh']);

    const stream = await open({ startLsn: fence });

    expect(keysOf(await stream.nextTransaction())).toEqual(['fresh']);
  });

  it('goes on by itself while only other tables are written', async () => {
    const stream = await open();
    await client.query('create table other (id int)');
    await client.query('insert into other select generate_series(1, 1000)');
    const written = await walEnd();

    await until('the idle slot had moved', async () => (await slotConfirmed()) >= written);
    expect(stream.queuedBytes).toBe(0);
  });

  it('stands still for a transaction that is handed out and not confirmed, whatever else is written', async () => {
    const stream = await open();
    await insert(['a']);
    const transaction = await stream.nextTransaction();
    await client.query('create table other (id int)');
    const written = await walEnd();
    await until('the stream had passed it', () => stream.receivedLsn >= written);
    expect(await slotConfirmed()).toBeLessThan(endOf(transaction));

    stream.confirm(endOf(transaction));

    await until('the slot had moved on', async () => (await slotConfirmed()) >= written);
  });
});

describe('a stream that ends', () => {
  it('tells that its walsender was terminated, and does not wait for the silence', async () => {
    const stream = await open({ silenceMs: 3_600_000 });
    const next = stream.nextTransaction().catch((error: unknown) => error);
    await client.query('select pg_terminate_backend($1)', [await readerOfSlot()]);

    expect(await next).toMatchObject({ code: 'database_unavailable', disposition: 'retry' });
    expect(() => stream.takeQueued()).toThrow(expect.objectContaining({ code: 'database_unavailable' }));
  });

  it('leaves the slot free at once when it is closed, and its reader with an error', async () => {
    const stream = await open();
    const next = stream.nextTransaction().catch((error: unknown) => error);
    await stream.close();
    await stream.close();

    expect(await next).toMatchObject({ code: 'internal' });
    await open();
  });

  it('is closed while it is full', async () => {
    const stream = await open({ bytesMax: MIB / 4 });
    await insert(
      Array.from({ length: 3_000 }, (_, index) => String(index)),
      client,
      JSON.stringify('x'.repeat(500)),
    );
    await until('the stream was full', () => stream.queuedBytes > MIB / 8);

    await stream.close();

    expect(stream.queuedBytes).toBe(0);
  });
});

describe('what is refused by name', () => {
  it('a slot that does not exist', async () => {
    await expect(open({ slot: 'w1_nobody' })).rejects.toMatchObject({ code: 'slot_missing' });
  });

  it('a slot that another session reads', async () => {
    await open();

    await expect(open()).rejects.toMatchObject({ code: 'slot_in_use' });
  });

  it('a user who may not stream', async () => {
    const role = uniqueName('w1_role');
    await client.query(`create role ${role} login`);
    const url = new URL(server.databaseUrl(database));
    url.username = role;

    await expect(open({ databaseUrl: url.toString() })).rejects.toMatchObject({ code: 'not_authorised' });
    await client.query(`drop role ${role}`);
  });

  it('a publication that was dropped', async () => {
    const stream = await open();
    await client.query(`drop publication ${client.escapeIdentifier(PUBLICATION)}`);
    await insert(['lost to the stream']);

    await expect(stream.nextTransaction()).rejects.toMatchObject({ code: 'publication_unfit' });
    expect(stream.confirmedLsn).toBeLessThan(await walEnd());
  });

  it('a publication of the leaves', async () => {
    await client.query(
      `alter publication ${client.escapeIdentifier(PUBLICATION)} set (publish_via_partition_root = false)`,
    );
    const stream = await open();
    await insert(['by another name']);

    await expect(stream.nextTransaction()).rejects.toMatchObject({ code: 'publication_unfit' });
  });

  it('an outbox whose column was renamed while it was streamed', async () => {
    const stream = await open();
    await insert(['before']);
    // what is queued and not taken is dropped with the stream
    expect(keysOf(await stream.nextTransaction())).toEqual(['before']);
    await client.query('alter table millrace.outbox rename column headers to head');
    await insert(['after']);

    await expect(stream.nextTransaction()).rejects.toMatchObject({ code: 'outbox_altered' });
  });

  it('not an outbox that got a column more', async () => {
    const stream = await open();
    await insert(['before']);
    await client.query(`alter table millrace.outbox add column extra text default 'e'`);
    await insert(['after']);

    expect(keysOf(await stream.nextTransaction())).toEqual(['before']);
    expect(keysOf(await stream.nextTransaction())).toEqual(['after']);
  });
});
