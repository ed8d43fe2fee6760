import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { portOf, StartError } from '@millrace/http';
import { migrate } from '@millrace/schema';
import {
  consoleConsume,
  createTestDatabase,
  createTopic,
  freePort,
  LocalKafka,
  type TestDatabase,
  testKafkaBrokers,
  topicOffsets,
  uniqueName,
  until,
} from '@millrace/testing';
import { type NestExpressApplication } from '@nestjs/platform-express';
import type pg from 'pg';
import { readRelaySettings } from './relay.config.js';
import { startRelay } from './relay-app.js';

const TOKEN = 'a-token-of-some-length';

/** What the relays of a test have logged; the logger of lines outside of a request is one for the process. */
let logged = '';
const LOG = new Writable({
  write: (chunk: Buffer, _encoding, done) => {
    logged += chunk.toString('utf8');
    done();
  },
});

interface RouteAnswer {
  readonly state: { readonly kind: string; readonly problem?: { readonly code: string; readonly message: string } };
  readonly claim: { readonly low: string; readonly high: string } | null;
  readonly capture: { readonly mode: string; readonly reading: string; readonly slot: object | null } | null;
  readonly eventsSent: number;
  readonly sendsInFlight: number;
}

interface ParkedAnswer {
  readonly events: readonly { readonly id: string; readonly code: string }[];
}

/** The relay as the process runs it, in this process: its whole module, listening, told by an environment. */
class RelayUnderTest {
  private app: NestExpressApplication | undefined;

  async start(environment: Readonly<Record<string, string>>): Promise<this> {
    const settings = readRelaySettings({ PORT: '0', MILLRACE_ADMIN_TOKEN: TOKEN, ...environment });
    this.app = await startRelay(settings, { logDestination: LOG });
    return this;
  }

  /** Resolves when the route is in a state, with a problem of this code where one is named. */
  async entered(kind: string, code?: string): Promise<void> {
    await until(
      () => this.route(),
      ({ state }) => state.kind === kind && (code === undefined || state.problem?.code === code),
      `the route to be ${kind} ${code ?? ''}`,
    );
  }

  async ready(): Promise<{ readonly status: number; readonly body: unknown }> {
    const answer = await fetch(`${this.url}/health/ready`);
    return { status: answer.status, body: await answer.json() };
  }

  async route(): Promise<RouteAnswer> {
    return await this.admin('GET', 'default');
  }

  async command(name: 'pause' | 'resume', reason: string): Promise<RouteAnswer> {
    return await this.admin('POST', `default/${name}`, JSON.stringify({ reason }));
  }

  /** Answered after a second at the latest: the relay may take over the mode later. */
  async setCapture(mode: string, reason?: string): Promise<RouteAnswer> {
    return await this.admin('PUT', 'default/capture', JSON.stringify({ mode, reason }));
  }

  /** Resolves when the relay has taken over the mode, which is kept in the database. */
  async capturesBy(mode: string): Promise<void> {
    await until(
      () => this.route(),
      ({ capture }) => capture?.mode === mode,
      `the relay to capture by ${mode}`,
    );
  }

  /** Resolves when the relay says that it is ready. */
  async becameReady(): Promise<void> {
    const seen = await until(
      () => this.ready(),
      ({ status }) => status === 200,
      'the relay to be ready',
    );
    expect(seen.body).toEqual({ status: 'ok' });
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    await this.app?.close();
    this.app = undefined;
  }

  get port(): number {
    if (this.app === undefined) {
      throw new Error('the relay is not running');
    }
    return portOf(this.app);
  }

  async metrics(): Promise<string> {
    return await (await fetch(`${this.url}/metrics`)).text();
  }

  private get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async parked(): Promise<ParkedAnswer> {
    return (await this.ask('GET', 'parked?route=default')) as ParkedAnswer;
  }

  async discard(ids: readonly string[], reason: string): Promise<unknown> {
    return await this.ask(
      'POST',
      'parked/actions',
      JSON.stringify({ action: 'discard', filter: { route: 'default', ids }, reason, confirm: ids.length }),
    );
  }

  private async admin(method: string, path: string, body?: string): Promise<RouteAnswer> {
    return (await this.ask(method, `routes/${path}`, body)) as RouteAnswer;
  }

  private async ask(method: string, path: string, body?: string): Promise<unknown> {
    const answer = await fetch(`${this.url}/admin/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body }),
    });
    expect(answer.status).toBe(200);
    return await answer.json();
  }
}

let database: TestDatabase;
let client: pg.Client;
let aggregateType = '';
let topic = '';
const relays: RelayUnderTest[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  aggregateType = uniqueName('order');
  topic = `outbox.event.${aggregateType}`;
  logged = '';
});

afterEach(async () => {
  await Promise.all(relays.splice(0).map(async (relay) => relay.stop()));
  await client.end();
  await database.drop();
});

async function startedRelay(more: Readonly<Record<string, string>> = {}): Promise<RelayUnderTest> {
  const relay = new RelayUnderTest();
  relays.push(relay);
  return await relay.start({ DATABASE_URL: database.url, KAFKA_BROKERS: testKafkaBrokers().join(','), ...more });
}

/** A relay that a YAML file tells what to do with topics, and what else its one route is to be. */
async function relayOfFile(topics: string, route = ''): Promise<RelayUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-relay-'));
  await writeFile(
    `${folder}/relay.yaml`,
    `version: 1
sources: { order: { databaseUrl: \${DATABASE_URL} } }
sinks: { main: { kind: kafka, brokers: \${KAFKA_BROKERS}, topics: ${topics} } }
routes: { default: { source: order, sink: main, ${route} } }`,
  );
  const relay = await startedRelay({ MILLRACE_CONFIG: `${folder}/relay.yaml` });
  await rm(folder, { recursive: true });
  return relay;
}

/** One committed event for each number, of one aggregate each. */
async function insertEvents(count: number): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
     select gen_random_uuid(), $1, 'a-' || n, 'order.placed', jsonb_build_object('n', n) from generate_series(1, $2::int) n`,
    [aggregateType, count],
  );
}

/** Events of one aggregate, each with its version, in transactions of their own. */
async function insertVersions(first: number, last: number): Promise<void> {
  for (let version = first; version <= last; version += 1) {
    await client.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, aggregateversion)
       values (gen_random_uuid(), $1, 'one', 'order.changed', '{}', $2)`,
      [aggregateType, version],
    );
  }
}

/** The versions in the order in which they came first. */
function firstDeliveries(records: readonly { readonly headers: Readonly<Record<string, string>> }[]): string[] {
  return [...new Set(records.map(({ headers }) => headers['aggregateversion'] ?? ''))];
}

async function settledEvents(): Promise<number> {
  const { rows } = await client.query<{ settled: number }>(
    'select count(*)::int as settled from millrace.outbox where position <= (select low from millrace.ledger)',
  );
  return rows[0]?.settled ?? 0;
}

/** Records in the topic; 0 while it does not exist. */
async function recordsInKafka(): Promise<number> {
  const partitions = await topicOffsets(testKafkaBrokers(), topic).catch(() => []);
  return partitions.reduce((sum, { first, end }) => sum + Number(end - first), 0);
}

async function untilInKafka(count: number): Promise<void> {
  await until(recordsInKafka, (seen) => seen === count, `Kafka to hold ${count} records`);
}

describe.each(['platformatic', 'kafkajs'])('with the client %s', (kafkaClient) => {
  it('an event inserted by SQL arrives with its key, its payload as PostgreSQL prints it, and its headers as bare text', async () => {
    const relay = await startedRelay({ MILLRACE_KAFKA_CLIENT: kafkaClient });
    const payload = '{"total": 10.50, "big": 12345678901234567890, "text": "Grüße 🌾 \\"quoted\\"", "n": null}';
    const { rows } = await client.query<{ id: string; position: string; payload: string }>(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload, aggregateversion, schemaversion, headers)
       values (gen_random_uuid(), $1, 'order-1', 'order.placed', $2::jsonb, 7, 3, '{"traceparent": "00-1-2-01", "tenant": "Müller"}')
       returning id, position::text, payload::text`,
      [aggregateType, payload],
    );
    const [row] = rows;
    await untilInKafka(1);
    const records = await consoleConsume({ brokers: testKafkaBrokers(), topic });
    const { rows: ledger } = await client.query<{ epoch: string }>('select epoch::text from millrace.ledger');
    expect(records).toEqual([
      expect.objectContaining({
        key: 'order-1',
        value: row?.payload,
        headers: {
          id: row?.id,
          eventType: 'order.placed',
          schemaversion: '3',
          aggregateversion: '7',
          'millrace-source': 'default',
          'millrace-route': 'default',
          'millrace-position': row?.position,
          'millrace-epoch': ledger[0]?.epoch,
          'millrace-low': '0',
          traceparent: '00-1-2-01',
          tenant: 'Müller',
        },
      }),
    ]);
    await relay.becameReady();
  });
});

describe('a database that is not as it should be', () => {
  it.each([
    ['on a port where nothing listens', (url: URL, free: number) => (url.port = String(free))],
    ['with a name that does not exist', (url: URL) => (url.pathname = '/absent')],
  ])('%s: the relay lives, is not ready and says why', async (_where, change) => {
    const url = new URL(database.url);
    change(url, await freePort());
    const relay = await startedRelay({ DATABASE_URL: url.toString() });
    await relay.entered('stalled', 'database_unavailable');
    expect(await relay.ready()).toEqual({
      status: 503,
      body: { status: 'not-ready', reasons: ['route-stalled: source-database-unavailable'] },
    });
    expect((await relay.route()).state.problem?.message).toMatch(/check that it runs and that host, port and database/);
  });

  it('without the schema: the relay says what to run, and goes on by itself once that is done', async () => {
    const empty = await createTestDatabase({ isMigrated: false });
    const relay = await startedRelay({ DATABASE_URL: empty.url });
    try {
      await relay.entered('stalled', 'schema_missing');
      expect((await relay.ready()).status).toBe(503);
      expect((await relay.route()).state.problem?.message).toContain('millrace migrate');
      await migrate({ databaseUrl: empty.url });
      await relay.entered('running');
      await relay.becameReady();
    } finally {
      await relay.stop();
      await empty.drop();
    }
  });

  it('with a newer schema: the route stops by name, and a relay started on the right one goes on', async () => {
    await client.query(`insert into millrace.migration
      select r.* from (select to_jsonb(m) || '{"version": 999}' as row from millrace.migration m limit 1) newer,
      jsonb_populate_record(null::millrace.migration, newer.row) r`);
    const relay = await startedRelay();
    await relay.entered('stopped', 'schema_too_new');
    expect((await relay.ready()).body).toEqual({
      status: 'not-ready',
      reasons: ['route-stopped: source-schema-too-new'],
    });
    expect((await relay.route()).state.problem?.message).toMatch(/Upgrade this program/);
    await client.query('delete from millrace.migration where version = 999');
    await relay.stop();
    const upgraded = await startedRelay();
    await upgraded.entered('running');
  });

  it('with a sequence that has a cache: the route stops, nothing is published, and a resume heals it', async () => {
    await client.query('alter sequence millrace.position cache 10');
    const relay = await startedRelay();
    await insertEvents(1);
    await relay.entered('stopped', 'sequence_undisciplined');
    expect((await relay.ready()).status).toBe(503);
    expect((await relay.route()).state.problem?.message).toContain('alter sequence millrace.position cache 1');
    expect(await recordsInKafka()).toBe(0);
    await client.query('alter sequence millrace.position cache 1');
    await relay.command('resume', 'the sequence is as it was');
    await relay.entered('running');
    await untilInKafka(1);
  });
});

describe('a sink that is not as it should be', () => {
  it('down at start: the relay is not ready, and publishes what waited once Kafka is there', async () => {
    const port = await freePort();
    await insertEvents(3);
    const relay = await startedRelay({ KAFKA_BROKERS: `127.0.0.1:${port}` });
    await relay.entered('stalled', 'unavailable');
    expect(await relay.ready()).toEqual({
      status: 503,
      body: { status: 'not-ready', reasons: ['route-stalled: sink-unavailable'] },
    });
    const door = await openDoor(port);
    try {
      await relay.entered('running');
      await untilInKafka(3);
      await relay.becameReady();
    } finally {
      await relay.stop();
      door.close();
    }
  });

  it('without the topic of a filter, which it may make: the topic is there before the first event', async () => {
    const relay = await relayOfFile(
      '{ create: true, partitions: 3, replication: 1 }',
      `filter: { aggregatetypes: [${aggregateType}] }`,
    );
    await relay.entered('running');
    const offsetsOrNone = async () => topicOffsets(testKafkaBrokers(), topic).catch(() => []);
    const partitions = await until(offsetsOrNone, (seen) => seen.length > 0, `topic ${topic}`);
    expect(partitions.map(({ end }) => end)).toEqual([0n, 0n, 0n]);
  });

  it('without the topic, which nobody may make: the route says so, and goes on once it is made', async () => {
    const relay = await relayOfFile('{ create: false }');
    await relay.entered('running');
    await insertEvents(2);
    await relay.entered('stalled', 'topic_missing');
    expect((await relay.ready()).status).toBe(503);
    await createTopic({ brokers: testKafkaBrokers(), topic, partitions: 2 });
    await relay.entered('running');
    await untilInKafka(2);
  });
});

describe('trouble in between', () => {
  it('Kafka killed and back: the relay is not ready meanwhile, and every event is there afterwards, in order per key', async () => {
    const temporaryDir = await mkdtemp(join(tmpdir(), 'millrace-outage-'));
    const kafka = new LocalKafka({ dataDir: join(temporaryDir, 'kafka'), isQuickStart: true, temporaryDir });
    await kafka.start();
    try {
      const relay = await startedRelay({ KAFKA_BROKERS: kafka.brokers.join(',') });
      await relay.entered('running');
      await insertVersions(1, 50);
      await kafka.kill();
      await insertVersions(51, 100);
      await relay.entered('stalled');
      expect((await relay.ready()).status).toBe(503);
      await insertVersions(101, 150);
      await kafka.start();
      await relay.entered('running');
      await until(settledEvents, (settled) => settled === 150, 'all events to be settled');
      const records = await consoleConsume({ brokers: kafka.brokers, topic });
      expect(firstDeliveries(records)).toEqual(Array.from({ length: 150 }, (_, index) => String(index + 1)));
    } finally {
      await Promise.all(relays.splice(0).map(async (one) => one.stop()));
      await kafka.kill();
      await rm(temporaryDir, { recursive: true, force: true });
    }
  }, 300_000);

  it('an event that no broker takes is held with its key, other keys go on, and a person discards it', async () => {
    const relay = await startedRelay();
    await relay.entered('running');
    await insertVersions(1, 1);
    await untilInKafka(1);
    await client.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
       values (gen_random_uuid(), $1, 'one', 'order.placed', jsonb_build_object('text', repeat('secret ', 300000)))`,
      [aggregateType],
    );
    await insertVersions(2, 2);
    await insertEvents(1);
    await untilInKafka(2);

    const { events } = await relay.parked();
    expect(events).toEqual([
      expect.objectContaining({ position: '2', aggregateId: 'one', state: 'held', code: 'event_refused', attempts: 1 }),
    ]);
    expect(JSON.stringify(events)).not.toContain('secret');
    expect((await relay.ready()).status).toBe(200);

    await relay.discard(
      events.map(({ id }) => id),
      'too large for every consumer',
    );
    await untilInKafka(3);
    const { rows } = await client.query('select actor, action, reason from millrace.audit');
    expect(rows).toEqual([expect.objectContaining({ reason: 'too large for every consumer' })]);
  });
});

describe('two relays on one route', () => {
  it('one runs, the other stands by and takes over when the first stops; every event leaves once', async () => {
    const first = await startedRelay();
    await first.entered('running');
    const second = await startedRelay();
    await second.entered('standby');
    expect((await second.ready()).status).toBe(200);
    await insertEvents(5);
    await untilInKafka(5);
    expect((await second.route()).eventsSent).toBe(0);
    await first.stop();
    await second.entered('running');
    await insertEvents(5);
    await untilInKafka(10);
    expect((await second.route()).eventsSent).toBe(5);
  });
});

describe('pause and resume', () => {
  it('hold over a restart, and are in the audit with actor and reason', async () => {
    const before = await startedRelay();
    await before.entered('running');
    await before.command('pause', 'maintenance of the consumers');
    await before.entered('paused');
    await insertEvents(4);
    await before.stop();
    const after = await startedRelay();
    await after.entered('paused');
    expect((await after.ready()).status).toBe(200);
    expect(await recordsInKafka()).toBe(0);
    expect((await after.command('resume', 'done')).state.kind).not.toBe('stopped');
    await after.entered('running');
    await untilInKafka(4);
    const { rows } = await client.query('select actor, action, target, reason from millrace.audit order by at');
    expect(rows).toEqual([
      { actor: 'first-admin', action: 'route.pause', target: 'default', reason: 'maintenance of the consumers' },
      { actor: 'first-admin', action: 'route.resume', target: 'default', reason: 'done' },
    ]);
  });
});

describe('the capture of a route', () => {
  async function storedMode(): Promise<string | null | undefined> {
    const { rows } = await client.query<{ capture: string | null }>('select capture from millrace.ledger');
    return rows[0]?.capture;
  }

  /** A slot holds the server's WAL, so a route that polls keeps none. */
  async function untilNoSlot(): Promise<void> {
    const slots = 'select from pg_replication_slots where database = current_database()';
    await until(
      async () => (await client.query(slots)).rowCount,
      (count) => count === 0,
      'the slot to be gone',
    );
  }

  it('is kept in the database, with an audit row for each change, until it is as configured again', async () => {
    const before = await startedRelay();
    await before.entered('running');
    expect(await storedMode()).toBeNull();
    expect((await before.route()).capture?.mode).toBe('polling');
    await before.setCapture('auto', 'lower latency');
    expect(await storedMode()).toBe('auto');
    await before.capturesBy('auto');
    await before.stop();
    const after = await startedRelay();
    await after.entered('running');
    expect((await after.route()).capture?.mode).toBe('auto');
    await after.setCapture('configured');
    expect(await storedMode()).toBeNull();
    await after.capturesBy('polling');
    await untilNoSlot();
    const { rows } = await client.query('select actor, action, target, reason from millrace.audit order by at');
    expect(rows).toEqual([
      { actor: 'first-admin', action: 'route.capture auto', target: 'default', reason: 'lower latency' },
      { actor: 'first-admin', action: 'route.capture as configured', target: 'default', reason: null },
    ]);
  });

  it('changes while events are published, each of them once and in order', async () => {
    const relay = await startedRelay();
    await relay.entered('running');
    for (const [turn, mode] of ['wal', 'polling', 'auto', 'configured'].entries()) {
      const inserted = insertVersions(20 * turn + 1, 20 * turn + 20);
      expect((await relay.setCapture(mode)).state.kind).toBe('running');
      await inserted;
    }
    await untilInKafka(80);
    const records = await consoleConsume({ brokers: testKafkaBrokers(), topic });
    expect(records.map(({ headers }) => headers['aggregateversion'])).toEqual(
      Array.from({ length: 80 }, (_, index) => String(index + 1)),
    );
    await relay.becameReady();
    await untilNoSlot();
  }, 300_000);

  it('reads the stream once there is a slot, from the configuration on, and lets the slot go when it is to poll', async () => {
    const relay = await startedRelay({ MILLRACE_CAPTURE: 'wal' });
    const { capture } = await until(
      () => relay.route(),
      (route) => route.capture?.reading === 'stream',
      'the stream to be read',
    );
    expect(capture).toMatchObject({ mode: 'wal', streamsLost: 0, slot: { state: 'ready', walStatus: 'reserved' } });
    const line = /"route":"default","reading":"stream","slot":"ready",.*"msg":"capture changed"/;
    await until(
      () => Promise.resolve(logged),
      (text) => line.test(text),
      'the line of the log',
    );
    const metrics = await relay.metrics();
    expect(metrics).toMatch(/millrace_relay_capture_reading\{.*reading="stream"\} 1/);
    expect(metrics).toMatch(/millrace_relay_slot_state\{.*state="ready"\} 1/);
    expect(metrics).toMatch(/millrace_relay_slot_retained_bytes\{.*\} \d/);
    await insertVersions(1, 20);
    await untilInKafka(20);
    await relay.becameReady();
    await relay.setCapture('polling');
    await relay.capturesBy('polling');
    await untilNoSlot();
    await insertVersions(21, 40);
    await untilInKafka(40);
    const polling = await until(
      () => relay.route(),
      (route) => route.capture?.slot === null,
      'the relay to know that its slot is gone',
    );
    expect(polling.capture).toEqual({ mode: 'polling', reading: 'table', streamsLost: 0, slot: null });
  });

  it('can be set through a relay that stands by', async () => {
    const first = await startedRelay();
    await first.entered('running');
    const second = await startedRelay();
    await second.entered('standby');
    expect((await second.setCapture('wal')).capture).toBeNull();
    expect(await storedMode()).toBe('wal');
    await until(
      () => first.route(),
      ({ capture }) => capture?.mode === 'wal',
      'the relay that runs the route to know',
    );
    await second.setCapture('configured');
    await until(
      () => first.route(),
      ({ capture }) => capture?.mode === 'polling',
      'the relay that runs the route to know',
    );
    await untilNoSlot();
  });
});

describe('the end of a relay', () => {
  it('leaves nothing unsettled: what was sent is in the ledger, and the next relay sends only the rest', async () => {
    const relay = await startedRelay();
    await relay.entered('running');
    // so many that the stop meets some under way, and so few that a slow machine drains them in time
    const inserted = insertEvents(5_000);
    await until(recordsInKafka, (seen) => seen > 0, 'the first record');
    await relay.stop();
    await inserted;
    const { rows } = await client.query<{ settled: number; owner: string | null }>(
      `select (select count(*)::int from millrace.outbox where position <= low) as settled, owner from millrace.ledger`,
    );
    expect(rows).toEqual([{ settled: await recordsInKafka(), owner: null }]);
    await startedRelay();
    await untilInKafka(5_000);
  });

  it('for want of its port comes before it has taken a lease', async () => {
    const relay = await startedRelay();
    await relay.entered('running');
    const other = await createTestDatabase();
    try {
      const failed = startedRelay({ DATABASE_URL: other.url, PORT: String(relay.port) });
      await expect(failed).rejects.toThrow(StartError);
      const otherClient = await other.connect();
      expect((await otherClient.query('select from millrace.ledger')).rowCount).toBe(0);
      await otherClient.end();
    } finally {
      await other.drop();
    }
  });
});

/** A way to Kafka on a port where there was none. */
async function openDoor(port: number): Promise<Server> {
  const [host = '', kafkaPort = ''] = (testKafkaBrokers()[0] ?? '').split(':');
  const door = createServer((socket) => {
    const behind = connect(Number(kafkaPort), host);
    socket.pipe(behind).pipe(socket);
    socket.on('error', () => behind.destroy());
    behind.on('error', () => socket.destroy());
  });
  door.listen(port, '127.0.0.1');
  await once(door, 'listening');
  return door;
}
