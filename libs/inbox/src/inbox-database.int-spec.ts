import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { Outbox } from '@millrace/outbox';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { z } from 'zod';
import { Inbox } from './inbox.js';
import { discardSetAside, listSetAside, retrySetAside, thawPartition } from './inbox-admin.js';
import { requireInboxDatabase } from './inbox-database.js';
import { type HoldVerdict, type JudgeRetry } from './inbox-port.js';
import {
  arrivalOf,
  createGate,
  EFFECT_TABLE,
  LIMITS,
  openDataSource,
  progressOf,
  recordEffect,
} from './testing-doubles/inbox-scene.js';

const HELD: HoldVerdict = { kind: 'held', retryInMs: 0, code: 'c', reason: 'r' };
const judgeNever: JudgeRetry = () => {
  throw new Error('no head should have failed');
};

let database: TestDatabase;
let admin: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = await database.connect();
  await admin.query(EFFECT_TABLE);
});

afterAll(async () => {
  await admin.end();
  await database.drop();
});

describe("a service's login role", () => {
  const Reserved = defineEvent({
    type: 'stock.reserved',
    schemaVersion: 1,
    aggregate: 'stock',
    key: (event) => event.orderId,
    schema: z.object({ orderId: z.string() }),
  });
  let login: string;
  let url: string;

  beforeEach(async () => {
    login = `login_${database.name}`;
    url = Object.assign(new URL(database.url), { username: login, password: 'x' }).toString();
    await admin.query(`create role ${login} login password 'x'`);
  });

  afterEach(async () => {
    await admin.query(`drop owned by ${login}`);
    await admin.query(`drop role ${login}`);
  });

  it('that is a member of millrace_producer and millrace_consumer can do all that a service and its operator do', async () => {
    await admin.query(`grant millrace_producer, millrace_consumer to ${login};
      grant insert on public.effect to ${login}; grant usage on sequence public.effect_n_seq to ${login}`);
    const dataSource = await openDataSource(url);
    const inbox = new Inbox({ consumer: 'stock', dataSource });
    const outbox = new Outbox({ events: [Reserved] });
    const target = { databaseUrl: url };
    const request = { consumer: 'stock', actor: 'ann', reason: 'why not', filter: { key: 'b' } };

    await requireInboxDatabase(dataSource);
    await inbox.probe();
    await inbox.apply([arrivalOf(), arrivalOf({ key: 'a', position: 2 })], async (arrival, tx) => {
      await recordEffect(arrival, tx);
      await outbox.publish(tx, Reserved, { orderId: 'o-1' });
    });
    await inbox.hold(arrivalOf({ key: 'b', position: 3 }), HELD);
    await inbox.apply([arrivalOf({ key: 'b', position: 4 })], recordEffect);
    await discardSetAside(target, request);
    await retrySetAside(target, request);
    expect(await listSetAside(target, { consumer: 'stock' })).toHaveLength(1);
    expect(await inbox.releaseDue(recordEffect, judgeNever)).toMatchObject({ applied: 1 });
    expect(await inbox.countSetAside()).toEqual({ held: 0, parked: 0, heldKeys: 0 });
    for (let turn = 0; turn < 3; turn++) {
      await new Inbox({ consumer: 'stock', dataSource }).saveProgress([progressOf({ nextOffset: 9, hole: [5, 7] })]);
    }
    await thawPartition(target, { ...request, topic: 'orders', partition: 0 });
    expect(await inbox.openPartition('orders', 0)).toEqual(progressOf({ nextOffset: 9 }));

    await dataSource.destroy();
  });

  it('that is no consumer is told what to grant', async () => {
    await admin.query(`grant millrace_producer to ${login}`);
    const dataSource = await openDataSource(url);
    const refusal = { code: 'not_authorised', message: expect.stringMatching(/grant millrace_consumer to <user>/) };

    await expect(requireInboxDatabase(dataSource)).rejects.toMatchObject(refusal);
    await expect(listSetAside({ databaseUrl: url }, { consumer: 'stock' })).rejects.toMatchObject(refusal);
    await dataSource.destroy();
  });
});

describe('the check at boot', () => {
  it.each([
    [{}, 'idle_in_transaction_session_timeout, lock_timeout, statement_timeout'],
    [{ ...LIMITS, lock_timeout: 0 }, 'lock_timeout'],
    [{ ...LIMITS, idle_in_transaction_session_timeout: 120_000 }, 'idle_in_transaction_session_timeout'],
  ])('names the limits that %j lacks', async (limits, names) => {
    const dataSource = await openDataSource(database.url, limits);

    await expect(requireInboxDatabase(dataSource)).rejects.toMatchObject({
      name: 'InboxError',
      code: 'limits_missing',
      message: expect.stringMatching(new RegExp(`for ${names}:.*Set them on the DataSource`)),
    });
    await dataSource.destroy();
  });

  it('passes with the limits of a service', async () => {
    const dataSource = await openDataSource(database.url);

    await requireInboxDatabase(dataSource);
    await dataSource.destroy();
  });

  it('says that the schema is missing', async () => {
    const empty = await createTestDatabase({ isMigrated: false });
    const dataSource = await openDataSource(empty.url);

    await expect(requireInboxDatabase(dataSource)).rejects.toMatchObject({
      name: 'SchemaError',
      code: 'schema_missing',
    });
    await dataSource.destroy();
    await empty.drop();
  });
});

describe('a member that freezes inside of its transaction', () => {
  it("is ended by the server's limit for idle transactions, and its twin goes on", async () => {
    const event = arrivalOf({ key: 'frozen', position: 50 });
    const frozen = await openDataSource(database.url, { ...LIMITS, idle_in_transaction_session_timeout: 3_000 });
    const healthy = await openDataSource(database.url);
    await new Inbox({ consumer: 'stock', dataSource: healthy }).apply([arrivalOf({ position: 49 })], recordEffect);
    const [holds, thaw] = [createGate(), createGate()];
    const holder = new Inbox({ consumer: 'stock', dataSource: frozen }).apply([event], async (arrival, tx) => {
      await recordEffect(arrival, tx);
      holds.open();
      await thaw.opened;
    });
    await holds.opened;

    expect(await new Inbox({ consumer: 'stock', dataSource: healthy }).apply([event], recordEffect)).toEqual([
      'applied',
    ]);
    thaw.open();

    await expect(holder).rejects.toMatchObject({ code: 'handler_timeout' });
    expect(await new Inbox({ consumer: 'stock', dataSource: frozen }).apply([event], recordEffect)).toEqual([
      'duplicate',
    ]);
    expect((await admin.query(`select from public.effect where key = 'frozen'`)).rowCount).toBe(1);
    await frozen.destroy();
    await healthy.destroy();
  });
});

describe('connections that fell silent, as when an address has moved', () => {
  let relay: SilencingRelay;
  let url: string;

  beforeEach(async () => {
    relay = await SilencingRelay.open(database.url);
    url = relay.url;
  });

  afterEach(async () => {
    await relay.close();
  });

  it('are replaced, one by one, and the work goes on', async () => {
    const dataSource = await openDataSource(url, { ...LIMITS, query_timeout: 3_000, max: 3 });
    const inbox = new Inbox({ consumer: 'silent', dataSource });
    await Promise.all([60, 61, 62].map(async (position) => await inbox.apply([arrivalOf({ position })], recordEffect)));
    const event = arrivalOf({ position: 63 });

    relay.silenceAll();
    const outcomes: unknown[] = [];
    while (outcomes.length < 4 && outcomes.at(-1) !== 'applied') {
      await inbox.apply([event], recordEffect).then(
        ([outcome]) => outcomes.push(outcome),
        (error: unknown) => outcomes.push(error),
      );
    }

    expect(outcomes.at(-1)).toBe('applied');
    expect(outcomes.slice(0, -1)).toEqual(
      outcomes.slice(0, -1).map(() => expect.objectContaining({ code: 'unavailable' })),
    );
    await dataSource.destroy();
  });

  it('do not keep a statement of ours waiting for longer than the server would', async () => {
    const dataSource = await openDataSource(url, { ...LIMITS, statement_timeout: 3_000 });
    const inbox = new Inbox({ consumer: 'silent', dataSource });
    await requireInboxDatabase(dataSource);

    relay.silenceAll();

    await expect(inbox.saveProgress([progressOf({ nextOffset: 1 })])).rejects.toMatchObject({ code: 'unavailable' });
    await inbox.saveProgress([progressOf({ nextOffset: 1 })]);
    await dataSource.destroy();
  });
});

/** Passes bytes on between the inbox and PostgreSQL until it is told to keep them. */
class SilencingRelay {
  private readonly sockets = new Set<Socket>();
  private readonly silent = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async open(databaseUrl: string): Promise<SilencingRelay> {
    const target = new URL(databaseUrl);
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const url = Object.assign(new URL(databaseUrl), { hostname: '127.0.0.1', port: String(port) }).toString();
    const relay = new SilencingRelay(server, url);
    server.on('connection', (near) => {
      relay.join(near, connect(Number(target.port), target.hostname));
    });
    return relay;
  }

  /** What is open answers no more; new connections work. */
  silenceAll(): void {
    for (const socket of this.sockets) {
      this.silent.add(socket);
    }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) {
      socket.destroy();
    }
    this.server.close();
    await once(this.server, 'close');
  }

  private join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(from);
      from.on('error', () => undefined);
      from.on('data', (bytes) => {
        if (!this.silent.has(from)) {
          to.write(bytes);
        }
      });
      from.on('close', () => to.destroy());
    }
  }
}
