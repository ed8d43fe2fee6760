import { EventEmitter, once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createOutboxSource } from '@millrace/capture';
import { migrate } from '@millrace/schema';
import {
  createTestDatabase,
  FAST_UNSAFE_SETTINGS,
  freePort,
  TemporaryPostgres,
  type TestDatabase,
  until,
} from '@millrace/testing';
import pg from 'pg';
import { type RetentionConfig } from '../config/relay-config.js';
import { type RetentionListener } from './retention-listener.js';
import { SourceRetention } from './source-retention.js';

const LEAF = 1_000_000;
const KEEP_NOTHING: RetentionConfig = {
  policy: { keepMs: 0, maxAgeMs: null, maxBytes: null },
  archiveDirectory: null,
};
const PACE = { intervalMs: 20, firstWithinMs: 0 };

/** Tells `run` at the end of each run, with its code. */
const told = new EventEmitter();
let runs: SourceRetention[];
let problems: string[];
let alarms: string[];
let letGo: string[];

const listener: RetentionListener = {
  observer: {
    alarmRaised: ({ kind }) => alarms.push(kind),
    slotLetGo: ({ route }) => letGo.push(route),
  },
  leafArchived: () => undefined,
  ran: ({ code }) => told.emit('run', code),
  problemChanged: ({ problem }) => problems.push(problem?.code ?? 'none'),
};

beforeEach(() => {
  runs = [];
  problems = [];
  alarms = [];
  letGo = [];
});

afterEach(async () => {
  await Promise.all(runs.map((run) => run.stop()));
});

function retention(databaseUrl: string, config: RetentionConfig | undefined = KEEP_NOTHING): SourceRetention {
  const made = new SourceRetention({
    source: 'shop',
    databaseUrl,
    retention: config,
    pace: PACE,
    listener,
    random: () => 0,
  });
  runs.push(made);
  return made;
}

/** Resolves after the next run that ends so. */
async function ran(code: string): Promise<void> {
  for (let last: unknown = null; last !== code;) {
    [last] = (await once(told, 'run')) as unknown[];
  }
}

describe('retention of a source whose database', () => {
  it('does not answer says so once and goes on trying', async () => {
    const made = retention(`postgres://u:p@127.0.0.1:${await freePort()}/d`);
    made.start();
    made.start();
    await ran('database_unavailable');
    await ran('database_unavailable');
    await ran('database_unavailable');

    expect(problems).toEqual(['database_unavailable']);
    expect(made.history()).toMatchObject({ lastRun: null, problem: { code: 'database_unavailable' }, alarms: [] });
  });

  it('has no schema yet begins by itself when it is there', async () => {
    const database = await createTestDatabase({ isMigrated: false });
    try {
      const made = retention(database.url);
      made.start();
      await ran('schema_missing');
      await migrate({ databaseUrl: database.url });
      await ran('ok');

      expect(problems.at(0)).toBe('schema_missing');
      expect(problems.at(-1)).toBe('none');
      expect(made.history().lastRun?.status.leavesTotal).toBe(10);
      await made.stop();
    } finally {
      await database.drop();
    }
  });

  it('has a slot of an expired route lets it go', async () => {
    // of its own: the making of a slot waits for the open transactions of every database of a server
    const server = new TemporaryPostgres(FAST_UNSAFE_SETTINGS);
    await server.start();
    const client = new pg.Client({ connectionString: server.adminUrl });
    try {
      await migrate({ databaseUrl: server.adminUrl });
      await client.connect();
      await client.query(`insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline, expired_at)
        values ('r', 0, 0, 1, 's', 1, clock_timestamp())`);
      await client.query(`select pg_create_logical_replication_slot('millrace_r_' || left(encode(sha256(
        convert_to(d.oid || '/r', 'UTF8')), 'hex'), 8) || '_', 'pgoutput') from pg_database d where d.datname = current_database()`);
      const made = retention(server.adminUrl);
      made.start();
      await ran('ok');

      expect(letGo).toEqual(['r']);
      expect((await client.query('select from pg_replication_slots')).rowCount).toBe(0);
      await made.stop();
    } finally {
      await client.end();
      await server.remove();
    }
  });

  it('is silent is left within two seconds when the relay stops', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const made = retention(
      `postgres://u:p@127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/d`,
    );
    made.start();
    await once(server, 'connection');
    const begun = performance.now();
    await made.stop();
    // well before the driver gives up the connection by itself, after ten seconds
    expect(performance.now() - begun).toBeLessThan(8_000);

    sockets.forEach((socket) => socket.destroy());
    server.close();
    await once(server, 'close');
  });
});

describe('retention that was never started', () => {
  it('can be stopped, and started and stopped again', async () => {
    const made = retention(`postgres://u:p@127.0.0.1:${await freePort()}/d`);
    await made.stop();
    made.start();
    await ran('database_unavailable');
    await made.stop();
    await made.stop();
    expect(problems).toEqual(['database_unavailable']);
  });
});

describe('many relays', () => {
  let database: TestDatabase;
  let archive: string;

  beforeEach(async () => {
    database = await createTestDatabase();
    archive = await mkdtemp(join(tmpdir(), 'millrace-archive-'));
  });

  afterEach(async () => {
    await Promise.all(runs.map((run) => run.stop()));
    await database.drop();
    await rm(archive, { recursive: true });
  });

  /** Leaves of 200 rows each that one route has settled. */
  async function settledLeaves(leaves: number): Promise<void> {
    const client = await database.connect();
    for (let leaf = 0; leaf <= leaves; leaf += 1) {
      await client.query(`select setval('millrace.position', ${Math.max(1, leaf * LEAF)}, ${leaf > 0})`);
      await client.query(`insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
        select gen_random_uuid(), 'a', 'k', 't', '{}' from generate_series(1, 200)`);
    }
    await client.end();
    const source = createOutboxSource({ name: 'shop', databaseUrl: database.url, capture: 'polling' });
    const claim = await source.claim({
      route: 'r',
      owner: 'a',
      ttlMs: 60_000,
      from: { kind: 'earliest' },
      aggregateTypes: null,
    });
    if (claim.kind !== 'claimed') {
      throw new Error('The route is held.');
    }
    const end = leaves * LEAF + 200;
    const { capture } = claim;
    await until(
      async () => {
        await capture.settle(await capture.nextPage());
        return Number(capture.status().low);
      },
      (low) => low >= end,
      `low at ${end}`,
    );
    await claim.capture.close();
  }

  it('that run at the same instant empty each leaf once, with one file each, and raise no alarm', async () => {
    await settledLeaves(6);
    const config = { ...KEEP_NOTHING, archiveDirectory: archive };
    const relays = [1, 2, 3].map(() => retention(database.url, config));
    for (const relay of relays) {
      relay.start();
    }
    const emptied = async (): Promise<number> => {
      const client = await database.connect();
      const { rowCount } = await client.query(`select from millrace.audit where action = 'leaf.empty'`);
      await client.end();
      return rowCount ?? 0;
    };
    await until(emptied, (count) => count === 6, 'all leaves to be emptied');
    await ran('ok');
    await ran('ok');
    await Promise.all(relays.map((relay) => relay.stop()));

    expect(await emptied()).toBe(6);
    expect(await readdir(join(archive, 'shop'))).toHaveLength(6);
    expect({ alarms, problems }).toEqual({ alarms: [], problems: [] });
  });
});
