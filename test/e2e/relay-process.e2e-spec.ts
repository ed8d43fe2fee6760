import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createTestDatabase,
  LocalKafka,
  type TestDatabase,
  testKafkaBrokers,
  topicOffsets,
  uniqueName,
  until,
} from '@millrace/testing';
import type pg from 'pg';

const ROOT = join(import.meta.dirname, '..', '..');
const TOKEN = 'a-token-of-some-length';
/** Each test starts a relay from its sources, which takes half a minute on a busy machine. */
const TEST_MS = 300_000;

type Line = Readonly<Record<string, unknown>>;

/** The relay as a process of its own. */
class RelayProcess {
  readonly exited: Promise<number | null>;
  stderr = '';
  private stdout = '';
  private readonly child: ChildProcess;

  constructor(environment: Readonly<Record<string, string>>, nodeArguments: readonly string[] = []) {
    const source = ['--conditions=millrace-source', '--import', './test/e2e/run-source.mjs', ...nodeArguments];
    this.child = spawn(process.execPath, [...source, 'apps/relay/src/main.ts'], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], PORT: '0', ...environment },
    });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString('utf8')));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString('utf8')));
    this.exited = new Promise((resolve) => this.child.once('close', resolve));
  }

  /** The first line of the log that has these fields. */
  async logged(wanted: Line): Promise<Line> {
    const found = (): Line | undefined =>
      this.lines.find((line) => Object.entries(wanted).every(([name, value]) => line[name] === value));
    await until(
      () => Promise.resolve(found()),
      (line) => line !== undefined,
      `the log to say ${JSON.stringify(wanted)}`,
    );
    return found() ?? {};
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Sends SIGTERM; resolves with the exit code. */
  async terminate(): Promise<number | null> {
    this.signal('SIGTERM');
    return await this.exited;
  }

  /** Idempotent. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  private get lines(): readonly Line[] {
    const complete = this.stdout.slice(0, this.stdout.lastIndexOf('\n') + 1);
    return complete
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line);
  }
}

let database: TestDatabase;
let client: pg.Client;
let aggregateType = '';
let relays: RelayProcess[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  aggregateType = uniqueName('order');
});

afterEach(async () => {
  await Promise.all(relays.map(async (relay) => relay.kill()));
  relays = [];
  await client.end();
  await database.drop();
});

function started(environment: Readonly<Record<string, string>>, nodeArguments?: readonly string[]): RelayProcess {
  const relay = new RelayProcess(environment, nodeArguments);
  relays.push(relay);
  return relay;
}

function servers(brokers: readonly string[] = testKafkaBrokers()): Readonly<Record<string, string>> {
  return { DATABASE_URL: database.url, KAFKA_BROKERS: brokers.join(','), MILLRACE_ADMIN_TOKEN: TOKEN };
}

async function insertEvents(count: number): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     select gen_random_uuid(), $1, 'a-' || n, 'order.placed', '{}' from generate_series(1, $2::int) n`,
    [aggregateType, count],
  );
}

async function recordsInKafka(): Promise<number> {
  const partitions = await topicOffsets(testKafkaBrokers(), `outbox.event.${aggregateType}`).catch(() => []);
  return partitions.reduce((sum, { first, end }) => sum + Number(end - first), 0);
}

async function low(): Promise<string | undefined> {
  const { rows } = await client.query<{ low: string }>('select low::text from millrace.ledger');
  return rows[0]?.low;
}

describe('the process of the relay', () => {
  it(
    'ends at once for a wrong configuration, with every problem on a line and nothing else',
    async () => {
      const relay = started({ DATABASE_URL: 'mysql://u:s3cret@127.0.0.1/x', MILLRACE_CAPTURE: 'both', PORT: 'high' });
      expect(await relay.exited).toBe(1);
      expect(relay.stderr.trim().split('\n')).toEqual([
        expect.stringMatching(/^PORT is not valid: /),
        expect.stringMatching(/^MILLRACE_CAPTURE is not valid: /),
        expect.stringMatching(/^DATABASE_URL is not valid: /),
        expect.stringMatching(/^KAFKA_BROKERS is not set: /),
      ]);
      expect(relay.stderr).not.toContain('s3cret');
    },
    TEST_MS,
  );

  it(
    'makes an admin token where none is given, in a file that goes with the process',
    async () => {
      const relay = started({ ...servers(), MILLRACE_ADMIN_TOKEN: '' });
      const { path } = await relay.logged({ context: 'admin' });
      const { host, port } = await relay.logged({ msg: 'listening' });
      const token = (await readFile(String(path), 'utf8')).trim();
      expect((await stat(String(path))).mode & 0o777).toBe(0o600);
      const answer = await fetch(`http://${String(host)}:${String(port)}/admin/v1/routes`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(answer.status).toBe(200);
      await answer.body?.cancel();
      expect(await relay.terminate()).toBe(0);
      expect(existsSync(String(path))).toBe(false);
    },
    TEST_MS,
  );

  it(
    'at SIGTERM in the middle of a backlog: settles what it has sent, gives the lease back and ends with 0',
    async () => {
      const relay = started(servers());
      await relay.logged({ to: 'running' });
      const over = new AbortController();
      let inserted = 0;
      const inserting = (async (): Promise<void> => {
        for (; !over.signal.aborted; inserted += 2_000) {
          await insertEvents(2_000);
        }
      })();
      try {
        await until(recordsInKafka, (seen) => seen > 0, 'the first record');
        // a process that takes longer than ten seconds ends with 1
        expect(await relay.terminate()).toBe(0);
      } finally {
        over.abort();
        await inserting;
      }
      const sent = await recordsInKafka();
      expect(sent).toBeLessThan(inserted);
      const { rows } = await client.query(
        'select (select count(*)::int from millrace.outbox where position <= low) as settled, owner from millrace.ledger',
      );
      expect(rows).toEqual([{ settled: sent, owner: null }]);
      expect(relay.stderr).toBe('');
    },
    TEST_MS,
  );

  it(
    'at SIGTERM while Kafka does not answer: ends with 0 within ten seconds, and settles nothing that was not confirmed',
    async () => {
      const temporaryDir = mkdtempSync(join(tmpdir(), 'millrace-frozen-'));
      const kafka = new LocalKafka({ dataDir: join(temporaryDir, 'kafka'), isQuickStart: true, temporaryDir });
      await kafka.start();
      try {
        const relay = started(servers(kafka.brokers));
        await relay.logged({ to: 'running' });
        await insertEvents(1);
        await until(low, (seen) => seen === '1', 'the first event to be settled');
        process.kill(kafka.pid, 'SIGSTOP');
        await insertEvents(10);
        await relay.logged({ to: 'stalled' });
        // a process that takes longer than ten seconds ends with 1
        expect(await relay.terminate()).toBe(0);
        expect(await low()).toBe('1');
      } finally {
        await kafka.kill();
        rmSync(temporaryDir, { recursive: true, force: true });
      }
    },
    TEST_MS,
  );

  it(
    'ends with 1 and a line in its log at an exception that nobody caught',
    async () => {
      const bomb = "process.once('SIGUSR2', () => setTimeout(() => { throw new Error('from a timer'); }))";
      const relay = started(servers(), ['--import', `data:text/javascript,${encodeURIComponent(bomb)}`]);
      await relay.logged({ to: 'running' });
      relay.signal('SIGUSR2');
      expect(await relay.exited).toBe(1);
      await relay.logged({ level: 60, msg: 'uncaught exception, the process ends' });
    },
    TEST_MS,
  );
});
