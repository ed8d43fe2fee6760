import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createTestDatabase,
  type HttpFault,
  HttpFaultProxy,
  LocalSqs,
  type TestDatabase,
  uniqueName,
  until,
} from '@millrace/testing';
import {
  createSqsSubscription,
  type Delivery,
  DirectoryPayloadStore,
  type SubscriptionPort,
} from '@millrace/transport';
import { type NestExpressApplication } from '@nestjs/platform-express';
import type pg from 'pg';
import { readRelaySettings } from '../../apps/relay/src/relay.config.js';
import { startRelay } from '../../apps/relay/src/relay-app.js';

const KEYS = 9;
const NOWHERE = new Writable({
  write: (_chunk, _encoding, done) => {
    done();
  },
});
/** The SDK's default chain finds them, as it does for the relay of an operator. */
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' };

describe('a relay that publishes to a queue of SQS', () => {
  let sqs: LocalSqs;
  let proxy: HttpFaultProxy;
  let database: TestDatabase;
  let client: pg.Client;
  let folder: string;
  let queue: string;
  let relay: NestExpressApplication | undefined;
  let subscription: SubscriptionPort;
  let deliveries: Delivery[];
  let inserted: number;

  beforeAll(async () => {
    Object.assign(process.env, CREDENTIALS);
    sqs = await LocalSqs.start();
    proxy = await HttpFaultProxy.start({ port: sqs.port });
  });

  afterAll(async () => {
    await proxy.stop();
    await sqs.stop();
    for (const name of Object.keys(CREDENTIALS)) {
      Reflect.deleteProperty(process.env, name);
    }
  });

  beforeEach(async () => {
    database = await createTestDatabase();
    client = await database.connect();
    folder = mkdtempSync(join(tmpdir(), 'millrace-relay-'));
    queue = `${uniqueName('orders')}.fifo`;
    sqs.createQueue(queue, { MaximumMessageSize: '4096' });
    inserted = 0;
    deliveries = [];
    subscription = createSqsSubscription({
      connection: {},
      queues: sqs.urlOf(queue),
      topics: ['outbox.event.order'],
      payloads: new DirectoryPayloadStore(join(folder, 'payloads')),
      waitSeconds: 1,
    });
    await subscription.start({
      open: (partition) =>
        Promise.resolve({
          receive: (chunk) => {
            deliveries.push(...chunk.deliveries);
            for (const delivery of chunk.deliveries) {
              partition.settle?.(delivery);
            }
            return Promise.resolve();
          },
          close: () => Promise.resolve(),
        }),
    });
  });

  afterEach(async () => {
    proxy.clear();
    await relay?.close();
    await subscription.stop();
    await client.end();
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  async function start(): Promise<void> {
    const path = join(folder, 'relay.yaml');
    writeFileSync(
      path,
      `version: 1
sources: { order: { databaseUrl: "${database.url}" } }
sinks:
  main:
    kind: sqs
    queues: "${sqs.urlOf(queue, proxy.endpoint)}"
    lanes: 4
    payloads: { directory: ${join(folder, 'payloads')} }
routes: { orders: { source: order, sink: main } }`,
    );
    const settings = { PORT: '0', MILLRACE_ADMIN_TOKEN: 'a-token-of-some-length', MILLRACE_CONFIG: path };
    relay = await startRelay(readRelaySettings(settings), { logDestination: NOWHERE });
  }

  async function insert(count: number): Promise<void> {
    await client.query(
      `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
       select gen_random_uuid(), 'order', 'order ' || n % $3, 'order.counted',
         jsonb_build_object('n', n, 'text', case when n % 50 = 0 then repeat('x', 5000) else '🌾' end)
       from generate_series($1::int, $2::int) n`,
      [inserted, inserted + count - 1, KEYS],
    );
    inserted += count;
  }

  function numbersByKey(): Map<string, number[]> {
    const numbers = new Map<string, number[]>();
    for (const { key, value } of deliveries) {
      const { n } = JSON.parse(String(value)) as { n: number };
      numbers.set(String(key), [...(numbers.get(String(key)) ?? []), n]);
    }
    return numbers;
  }

  it('brings each event once and in order per key through faults and a restart, with the large ones', async () => {
    let seed = 11;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const faults: readonly HttpFault[] = [
      { kind: 'answer', status: 503, code: 'ServiceUnavailable' },
      { kind: 'answer', status: 400, code: 'RequestThrottled' },
      { kind: 'lose_reply' },
      { kind: 'cut' },
      {
        kind: 'fail_entries',
        failureOf: () =>
          random() < 0.4 ? { code: 'InternalError', isSenderFault: false, isStored: random() < 0.5 } : null,
      },
    ];
    proxy.set(({ action }) =>
      action === 'SendMessageBatch' && random() < 0.12
        ? (faults[Math.floor(random() * faults.length)] ?? { kind: 'pass' })
        : { kind: 'pass' },
    );
    await insert(150);
    await start();
    await until(
      () => Promise.resolve(deliveries.length),
      (count) => count > 60,
      'the first events',
    );
    await relay?.close();
    await insert(150);
    await start();
    await until(
      () => Promise.resolve(deliveries.length),
      (count) => count >= 300,
      'all events',
    );
    proxy.clear();
    await until(
      () =>
        client.query<{ left: number }>(
          'select count(*)::int as left from millrace.outbox where position > (select low from millrace.ledger)',
        ),
      ({ rows }) => rows[0]?.left === 0,
      'the ledger to be settled',
    );

    const expected = Array.from({ length: KEYS }, (_, key) =>
      Array.from({ length: 300 }, (_event, n) => n).filter((n) => n % KEYS === key),
    );
    const numbers = numbersByKey();
    expect(Array.from({ length: KEYS }, (_, key) => numbers.get(`order ${key}`))).toEqual(expected);
  });

  it('waits for a queue that is not there yet', async () => {
    sqs.deleteQueue(queue);
    await insert(3);
    await start();
    await until(
      () => Promise.resolve(proxy.countOf('GetQueueAttributes')),
      (count) => count > 0,
      'the relay to look',
    );
    sqs.createQueue(queue);
    await until(
      () => Promise.resolve(deliveries.length),
      (count) => count === 3,
      'the events',
    );
  });
});
