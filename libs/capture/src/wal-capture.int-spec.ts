import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { migrate } from '@millrace/schema';
import { FAST_UNSAFE_SETTINGS, TemporaryPostgres } from '@millrace/testing';
import pg from 'pg';
import { type CaptureChange } from './capture-observer.js';
import { type CaptureMode, type CapturePort, type CaptureStatus, type SourcePort } from './capture-port.js';
import { createOutboxSource } from './outbox-source.js';

/** A cluster of its own: the making of a slot waits for the open transactions of every database in it. */
const SETTINGS = { ...FAST_UNSAFE_SETTINGS, max_replication_slots: 10, autovacuum: 'off' };
const SLOT = `select slot_name from pg_replication_slots where slot_name like 'millrace%' and database = current_database()`;

let server: TemporaryPostgres;
let databases = 0;
let url: string;
let client: pg.Client;
let changes: CaptureChange[];
let source: SourcePort;
let readers: Reader[];
let sessions: pg.Client[] = [];

beforeAll(async () => {
  server = new TemporaryPostgres(SETTINGS);
  await server.start();
});

afterAll(async () => {
  await server.remove();
});

beforeEach(async () => {
  databases += 1;
  const admin = await connect(server.adminUrl);
  await admin.query(`create database test${databases}`);
  url = server.adminUrl.replace(/\/\w+$/, `/test${databases}`);
  await migrate({ databaseUrl: url });
  client = await connect();
  changes = [];
  readers = [];
  source = sourceOf('wal');
});

afterEach(async () => {
  await Promise.all(readers.map((reader) => reader.stop()));
  for (const { slot_name: slot } of (await client.query<{ slot_name: string }>(SLOT)).rows) {
    await until('the slot is free', async () => {
      await client.query('select pg_drop_replication_slot($1)', [slot]).catch(() => undefined);
      return (await client.query(SLOT)).rowCount === 0;
    });
  }
  await Promise.all(sessions.map((session) => session.end()));
  sessions = [];
});

async function connect(to = url): Promise<pg.Client> {
  const connected = new pg.Client({ connectionString: to });
  await connected.connect();
  sessions.push(connected);
  return connected;
}

function sourceOf(capture: CaptureMode, limits: { readonly gapRangesMax?: number } = {}): SourcePort {
  const captureChanged = (change: CaptureChange): void => {
    changes.push(change);
  };
  return createOutboxSource({ name: 'source', databaseUrl: url, capture, observer: { captureChanged }, ...limits });
}

/** Reads and settles, as the engine does, until it is stopped. */
class Reader {
  readonly payloads: string[] = [];
  private isOver = false;
  private readonly running: Promise<void>;

  private constructor(private readonly capture: CapturePort) {
    this.running = this.run();
  }

  static async start(owner = 'a', from: SourcePort = source): Promise<Reader> {
    const claim = await from.claim({
      route: 'r',
      owner,
      ttlMs: 30_000,
      from: { kind: 'earliest' },
      aggregateTypes: null,
    });
    if (claim.kind !== 'claimed') {
      throw new Error(`The claim is ${claim.kind}.`);
    }
    const reader = new Reader(claim.capture);
    readers.push(reader);
    return reader;
  }

  get status(): CaptureStatus {
    return this.capture.status();
  }

  async reads(from: CaptureStatus['reading']): Promise<void> {
    await until(
      () => `it reads the ${from}: ${changes.map(({ message }) => message).join(' | ')}`,
      () => this.status.reading === from,
    );
  }

  async has(count: number): Promise<void> {
    await until(
      () => `${count} events came, and not ${this.payloads.length}`,
      () => this.payloads.length >= count,
    );
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.running;
    await this.capture.close();
  }

  private async run(): Promise<void> {
    while (!this.isOver) {
      const page = await this.capture.nextPage();
      this.payloads.push(...page.events.map(({ payload }) => payload));
      if (page.isChanged) {
        await this.capture.settle(page);
      } else if (!page.hasWaited) {
        await sleep(5);
      }
    }
  }
}

async function until(what: string | (() => string), isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) {
      throw new Error(`This never happened: ${typeof what === 'string' ? what : what()}.`);
    }
    await sleep(10);
  }
}

/** The server hears of the end of a connection a moment later. */
async function nobodyReadsTheSlot(): Promise<void> {
  await until('nobody reads the slot', async () => (await client.query(`${SLOT} and active`)).rowCount === 0);
}

async function insert(by: pg.Client, from: number, to = from): Promise<void> {
  await by.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     select gen_random_uuid(), 'account', 'k', 'changed', to_jsonb(n) from generate_series($1::int, $2::int) n`,
    [from, to],
  );
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

describe('capture from the WAL', () => {
  it('begins with the table, goes over to the stream, and each event comes once, in order', async () => {
    await insert(client, 1, 3);
    const reader = await Reader.start();
    await reader.has(3);
    await reader.reads('stream');
    await insert(client, 4, 6);
    await reader.has(6);
    await insert(client, 7, 9);
    await reader.has(9);

    expect(reader.payloads).toEqual(numbers(1, 9));
    expect(reader.status).toMatchObject({ mode: 'wal', reading: 'stream', streamsLost: 0, slot: { state: 'ready' } });
    await until('all is settled', () => reader.status.low === 9n);
  });

  it('settles what was rolled back, and what is committed late, without a poll', async () => {
    const reader = await Reader.start();
    await reader.reads('stream');
    await client.query('begin');
    await insert(client, 90, 99);
    await client.query('rollback');
    await insert(client, 1);
    await reader.has(1);
    await until('the rolled-back positions died', () => reader.status.low === 11n);
    expect(reader.status).toMatchObject({ gapsDied: 10, reading: 'stream' });

    const late = await connect();
    await late.query('begin');
    await insert(late, 3);
    await insert(client, 2);
    await reader.has(2);
    await until('the late one is waited for', () => reader.status.low === 11n && reader.status.high === 13n);
    await late.query('commit');
    await reader.has(3);
    expect(reader.payloads).toEqual(numbers(1, 3));
    await until('all is settled', () => reader.status.low === 13n);
    expect(reader.status.gapsDied).toBe(10);
  });

  it('goes on with the table when the stream is cut, and comes back to a stream', async () => {
    const reader = await Reader.start();
    await reader.reads('stream');
    await insert(client, 1);
    await reader.has(1);
    await client.query(`select pg_terminate_backend(active_pid) from pg_replication_slots where active`);
    await insert(client, 2, 4);
    await reader.has(4);
    await until('the loss is told', () => reader.status.streamsLost === 1);
    await reader.reads('stream');
    await insert(client, 5);
    await reader.has(5);

    expect(reader.payloads).toEqual(numbers(1, 5));
    expect(reader.status.streamsLost).toBe(1);
    // that the old walsender is still about to end may be told as well
    expect(changes.filter(({ message, isWarning }) => isWarning && message.startsWith('The route reads'))).toHaveLength(
      1,
    );
  });

  it.each([
    ['dropped', (slot: string) => `select pg_drop_replication_slot('${slot}')`],
    ['advanced', (slot: string) => `select pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`],
  ])('loses nothing when the slot is %s while nobody reads it', async (_what, statement) => {
    const first = await Reader.start();
    await first.reads('stream');
    await first.stop();
    await nobodyReadsTheSlot();
    const [slot] = (await client.query<{ slot_name: string }>(SLOT)).rows;
    await insert(client, 1, 3);
    await client.query(statement(slot?.slot_name ?? ''));
    await insert(client, 4, 5);

    const second = await Reader.start('b');
    await second.has(5);
    await second.reads('stream');
    await insert(client, 6);
    await second.has(6);
    expect(second.payloads).toEqual(numbers(1, 6));
  });

  it('publishes from the table while the slot waits for an open transaction', async () => {
    const job = await connect();
    await job.query('begin');
    await job.query('select pg_current_xact_id()');
    const reader = await Reader.start();
    await insert(client, 1, 3);
    await reader.has(3);
    await until('the wait is told', () => reader.status.slot?.state === 'creating');
    expect(reader.status.reading).toBe('table');

    await job.query('commit');
    await reader.reads('stream');
  });

  it('changes over while it runs, without a gap or a second copy', async () => {
    const reader = await Reader.start();
    let written = 0;
    const command = { route: 'r', actor: 'test', reason: null };
    for (const mode of ['polling', 'auto', 'polling', 'wal'] as const) {
      await insert(client, written + 1, (written += 20));
      await source.setCapture({ ...command, mode });
      await insert(client, written + 1, (written += 20));
      await reader.reads(mode === 'polling' ? 'table' : 'stream');
      await insert(client, written + 1, (written += 20));
      await reader.has(written);
      const slots = mode === 'polling' ? 0 : 1;
      await until('the slot is as it must be', async () => (await client.query(SLOT)).rowCount === slots);
    }

    expect(reader.payloads).toEqual(numbers(1, written));
    expect((await client.query(`select from millrace.audit where action like 'route.capture%'`)).rowCount).toBe(4);
  });

  it('drops the slot of an earlier configuration when it is to poll', async () => {
    const first = await Reader.start();
    await first.reads('stream');
    await first.stop();

    const second = await Reader.start('b', sourceOf('polling'));
    await until('the slot is gone', async () => (await client.query(SLOT)).rowCount === 0);
    expect(second.status).toMatchObject({ mode: 'polling', reading: 'table', slot: null });
  });

  it('says which slot a route that is to poll may not drop, and drops it once it may', async () => {
    const first = await Reader.start();
    await first.reads('stream');
    await first.stop();
    await nobodyReadsTheSlot();
    await client.query('create role poller login in role millrace_relay');
    url = Object.assign(new URL(url), { username: 'poller' }).toString();
    changes = [];
    await Reader.start('b', sourceOf('polling'));
    await until('it is told', () => changes.length > 0);
    expect(changes).toMatchObject([{ isWarning: true, message: expect.stringMatching(/REPLICATION.*'millrace_r_/) }]);
    await client.query('alter role poller replication');
    await until('the slot is gone', async () => (await client.query(SLOT)).rowCount === 0);
  });

  it.each(['commit', 'rollback'])('goes on after more gaps than it may have, when they end by %s', async (end) => {
    const reader = await Reader.start('a', sourceOf('wal', { gapRangesMax: 2 }));
    await reader.reads('stream');
    const bulk = await connect();
    await bulk.query('begin');
    for (let n = 1; n <= 8; n += 1) {
      await insert(n % 2 === 0 ? bulk : client, n);
    }
    await reader.has(4);
    await insert(client, 9);
    await bulk.query(end);
    await reader.has(end === 'commit' ? 9 : 5);
    await until('all is settled', () => reader.status.low === 9n);
    await reader.reads('stream');

    expect(new Set(reader.payloads).size).toBe(reader.payloads.length);
    expect(reader.status).toMatchObject({ streamsLost: 0, gapsDied: end === 'commit' ? 0 : 4 });
  });

  it('reads a large transaction in parts', async () => {
    const reader = await Reader.start();
    await reader.reads('stream');
    await insert(client, 1, 30_000);
    await insert(client, 30_001);
    await reader.has(30_001);
    expect(reader.payloads).toEqual(numbers(1, 30_001));
    expect(reader.status).toMatchObject({ reading: 'stream', streamsLost: 0 });
  });
});
