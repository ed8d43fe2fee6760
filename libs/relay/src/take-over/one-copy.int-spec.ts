import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type CaptureMode, type CapturePort, createOutboxSource, type SourcePort } from '@millrace/capture';
import { HEADER } from '@millrace/events';
import {
  createTestDatabase,
  createTopic,
  deleteTopic,
  type TestDatabase,
  testKafkaBrokers,
  uniqueName,
  until,
} from '@millrace/testing';
import { createKafkaSink, type Delivery, type SinkPort } from '@millrace/transport';
import type pg from 'pg';
import { RelayEngine } from '../relay-engine.js';
import { type RouteTuning } from '../route-config.js';

const TIMEOUT_MS = 240_000;
const PARTITIONS = 4;
const KEYS = 16;
const TUNING: Partial<RouteTuning> = {
  leaseTtlMs: 1_500,
  leaseMarginMs: 300,
  standbyLookMs: 100,
  beatMs: 100,
  drainMs: 500,
  batchRecordsMax: 5,
};
const SHARING = { beatMs: 200, presenceTtlMs: 1_500, graceMs: 300, settlingMs: 300, declineMs: 60_000 };

/** Where a relay may die. */
type Place = 'before-ledger' | 'after-ledger' | 'mid-page' | 'mid-take-over';

/** A relay whose servers hear nothing more of it from a named place on, as if it was killed there. */
class MortalRelay {
  readonly engine: RelayEngine;
  private diesAt: Place | null = null;
  private isDead = false;
  private died: () => void = () => undefined;
  private sends = 0;
  private readonly captures: CapturePort[] = [];

  constructor(
    owner: string,
    readonly sink: SinkPort,
    source: SourcePort,
  ) {
    this.engine = new RelayEngine({
      owner,
      sources: new Map([['db', this.sourceOf(source)]]),
      sinks: new Map([['kafka', this.sinkOf(sink)]]),
      routes: [{ name: 'orders', source: 'db', sink: 'kafka', tuning: TUNING }],
      sharing: SHARING,
    });
  }

  /** Resolves when it is dead. */
  dieAt(place: Place): Promise<void> {
    this.diesAt = place;
    return new Promise((resolve) => {
      this.died = resolve;
    });
  }

  /** As its operating system would: ends what it has left open. */
  async bury(): Promise<void> {
    await this.engine.stop();
    await Promise.all(this.captures.map((capture) => capture.close()));
  }

  private async pass(place: Place | null = null): Promise<void> {
    if (place !== null && place === this.diesAt) {
      this.isDead = true;
      this.died();
    }
    if (this.isDead) {
      await new Promise(() => undefined);
    }
  }

  private sourceOf(source: SourcePort): SourcePort {
    return {
      ...boundTo(source),
      name: source.name,
      claim: async (request) => {
        await this.pass();
        const result = await source.claim(request);
        if (result.kind !== 'claimed') {
          return result;
        }
        const { capture } = result;
        this.captures.push(capture);
        return {
          ...result,
          capture: {
            nextPage: async () => this.after(capture.nextPage()),
            settle: async (page, notes) => {
              await this.pass(page.rowCount > 0 ? 'before-ledger' : null);
              return this.after(capture.settle(page, notes), 'after-ledger');
            },
            renew: async (notes) => {
              await this.pass();
              return capture.renew(notes);
            },
            isSettled: (position) => capture.isSettled(position),
            status: () => capture.status(),
            close: async () => (this.isDead ? undefined : capture.close()),
          },
        };
      },
      join: async (request) => {
        await this.pass();
        return source.join(request);
      },
    };
  }

  private sinkOf(sink: SinkPort): SinkPort {
    return {
      kind: sink.kind,
      features: sink.features,
      start: () => sink.start(),
      openTopic: (topic) => sink.openTopic(topic),
      send: async (lane, records) => {
        await this.pass();
        this.sends += 1;
        return this.after(sink.send(lane, records), this.sends > 1 ? 'mid-page' : null);
      },
      readTails: async (request) => {
        await sink.readTails?.(request);
        await this.pass('mid-take-over');
      },
      stop: () => sink.stop(),
    };
  }

  private async after<T>(call: Promise<T>, place: Place | null = null): Promise<T> {
    const result = await call;
    await this.pass(place);
    return result;
  }
}

/** Methods of a class do not come along with a spread. */
function boundTo(source: SourcePort): SourcePort {
  return {
    name: source.name,
    claim: source.claim.bind(source),
    setPaused: source.setPaused.bind(source),
    setCapture: source.setCapture.bind(source),
    setShards: source.setShards.bind(source),
    shards: source.shards.bind(source),
    audit: source.audit.bind(source),
    join: source.join.bind(source),
    leave: source.leave.bind(source),
  };
}

describe('after a relay was killed', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let aggregateType: string;
  let topic: string;
  let relays: MortalRelay[];
  let written: number;

  beforeEach(async () => {
    database = await createTestDatabase();
    client = await database.connect();
    aggregateType = uniqueName('copy');
    topic = `outbox.event.${aggregateType}`;
    relays = [];
    written = 0;
    await createTopic({ brokers: testKafkaBrokers(), topic, partitions: PARTITIONS });
  }, TIMEOUT_MS);

  afterEach(async () => {
    await Promise.all(relays.map((relay) => relay.bury()));
    await client.query(
      'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and active_pid is null',
    );
    await client.end();
    await database.drop();
    await deleteTopic(testKafkaBrokers(), topic).catch(() => undefined);
  }, TIMEOUT_MS);

  function start(owner: string, capture: CaptureMode): MortalRelay {
    const sink = createKafkaSink({
      client: 'platformatic',
      connection: { brokers: testKafkaBrokers() },
      topics: { create: false },
    });
    const relay = new MortalRelay(owner, sink, createOutboxSource({ name: 'db', databaseUrl: database.url, capture }));
    relays.push(relay);
    relay.engine.start();
    return relay;
  }

  async function publish(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      written += 1;
      await client.query(
        `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
         select gen_random_uuid(), $1, 'k' || n, 'changed', $2, '{}' from generate_series(1, $3::integer) n`,
        [aggregateType, written, KEYS],
      );
    }
  }

  /** Everything in the topic, in the order of its partitions. */
  async function stored(): Promise<readonly Delivery[]> {
    const records: Delivery[] = [];
    await relays[0]?.sink.readTails?.({
      lanes: Array.from({ length: PARTITIONS }, (_, partition) => ({
        topic,
        partition,
        from: { offset: 0n, topicId: null, sinceMs: 0 },
      })),
      signal: new AbortController().signal,
      take: (taken) => records.push(...taken),
      ended: () => undefined,
    });
    return records;
  }

  async function settledAll(): Promise<void> {
    const isSettled = `select low >= (select max(position) from millrace.outbox) as is_settled from millrace.ledger`;
    await until(
      async () => (await client.query<{ is_settled: boolean }>(isSettled)).rows,
      ([row]) => row?.is_settled === true,
      'a ledger that has settled everything',
    );
  }

  const versionsByKey = (records: readonly Delivery[]): ReadonlyMap<string, readonly string[]> => {
    const versions = new Map<string, string[]>();
    for (const { key, headers } of records) {
      const name = key?.toString() ?? '';
      versions.set(name, [...(versions.get(name) ?? []), headers.get(HEADER.aggregateVersion)?.toString() ?? '']);
    }
    return versions;
  };

  async function expectOneCopy(): Promise<void> {
    const versions = versionsByKey(await stored());
    const each = Array.from({ length: written }, (_, index) => String(index + 1));
    expect([...versions.keys()]).toHaveLength(KEYS);
    for (const own of versions.values()) {
      expect(own).toEqual(each);
    }
  }

  it.each<[Place, CaptureMode]>([
    ['before-ledger', 'polling'],
    ['before-ledger', 'wal'],
    ['after-ledger', 'polling'],
    ['mid-page', 'polling'],
  ])(
    '%s (%s), the topic has one copy of each event',
    async (place, capture) => {
      const first = start('first', capture);
      await publish(3);
      await settledAll();
      const dead = first.dieAt(place);
      await publish(3);
      await dead;
      await publish(2);
      start('second', capture);
      await settledAll();

      await expectOneCopy();
    },
    TIMEOUT_MS,
  );

  it(
    'in the middle of a take-over, the topic has one copy of each event',
    async () => {
      const first = start('first', 'polling');
      await publish(3);
      await settledAll();
      const dead = first.dieAt('before-ledger');
      await publish(3);
      await dead;
      const second = start('second', 'polling');
      await second.dieAt('mid-take-over');
      await publish(1);
      start('third', 'polling');
      await settledAll();

      await expectOneCopy();
    },
    TIMEOUT_MS,
  );

  it(
    'and the topic was made anew, the route stops, and goes on when it is resumed',
    async () => {
      const first = start('first', 'polling');
      await publish(2);
      await settledAll();
      await first.engine.stop();
      await deleteTopic(testKafkaBrokers(), topic);
      await createTopic({ brokers: testKafkaBrokers(), topic, partitions: PARTITIONS });
      const { engine } = start('second', 'polling');
      await until(
        () => Promise.resolve(engine.routeStatus('orders').state.kind),
        (kind) => kind === 'stopped',
        'a route that was stopped',
      );
      expect(engine.routeStatus('orders').state).toMatchObject({ problem: { code: 'topic_replaced' } });

      await engine.resume({ route: 'orders', actor: 'somebody', reason: null });
      await publish(1);
      await settledAll();

      expect([...versionsByKey(await stored()).values()]).toEqual(Array.from({ length: KEYS }, () => ['3']));
    },
    TIMEOUT_MS,
  );
});
