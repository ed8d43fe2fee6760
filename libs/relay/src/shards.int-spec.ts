import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type CaptureMode, createOutboxSource, type RouteShards, type SourcePort } from '@millrace/capture';
import { routeOfHeader } from '@millrace/events';
import {
  consoleConsume,
  createTestDatabase,
  deleteTopic,
  type TestDatabase,
  testKafkaBrokers,
  uniqueName,
} from '@millrace/testing';
import { createKafkaSink, type SinkPort } from '@millrace/transport';
import type pg from 'pg';
import { type SharingTuning } from './placement.js';
import { RelayEngine } from './relay-engine.js';
import { type RouteTuning } from './route-config.js';
import { FakeSink } from './testing/fake-sink.js';

const TIMEOUT_MS = 600_000;
const DEADLINE_MS = 120_000;
const PARTITIONS = 6;
const KEYS = 24;
/** Keys of the fake sink's two lanes. */
const [FIRST_LANE, SECOND_LANE] = ['key', 'other'];
/** Short waits, and lives that no machine is too slow to renew: every relay that ends here gives back what it has. */
const SHARING: SharingTuning = {
  beatMs: 400,
  presenceTtlMs: 60_000,
  graceMs: 600,
  settlingMs: 1_000,
  declineMs: 60_000,
};
const TUNING: Partial<RouteTuning> = {
  leaseTtlMs: 60_000,
  leaseMarginMs: 600,
  standbyLookMs: 200,
  beatMs: 100,
  drainMs: 1_000,
};
/** What a change of shards without waiting would be: the new ones begin at once. */
const AT_ONCE = `update millrace.ledger set low = fence, high = fence, is_drained = true;
delete from millrace.ledger_gap;
select millrace.finish_resharding('r', null, null)`;

let database: TestDatabase;
let client: pg.Client;
let aggregateType: string;
let engines: RelayEngine[];
let watcher: SourcePort;

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  aggregateType = uniqueName('shards');
  engines = [];
  watcher = createOutboxSource({ name: 'db', databaseUrl: database.url });
});

afterEach(async () => {
  await Promise.all(engines.map((engine) => engine.stop()));
  // a slot outlives the relay that reads it
  await client.query(
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()',
  );
  await client.end();
  await database.drop();
}, TIMEOUT_MS);

interface Started {
  readonly owner: string;
  readonly sink: SinkPort;
  readonly shards: number;
  readonly capture?: CaptureMode;
  readonly settlingMs?: number;
}

function start({ owner, sink, shards, capture = 'polling', settlingMs = 1_000 }: Started): RelayEngine {
  const engine = new RelayEngine({
    owner,
    sources: new Map([['db', createOutboxSource({ name: 'db', databaseUrl: database.url, capture })]]),
    sinks: new Map([['sink', sink]]),
    routes: [{ name: 'r', source: 'db', sink: 'sink', shards, tuning: TUNING }],
    sharing: { ...SHARING, settlingMs },
  });
  engines.push(engine);
  engine.start();
  return engine;
}

function kafka(): SinkPort {
  return createKafkaSink({
    client: 'platformatic',
    connection: { brokers: testKafkaBrokers() },
    topics: { create: true, partitions: PARTITIONS, replication: 1 },
  });
}

async function publish(key: string, version: number): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
     values (gen_random_uuid(), $1, $2, 'changed', $3, '{}')`,
    [aggregateType, key, version],
  );
}

async function until<T>(what: string, read: () => Promise<T> | T, isThere: (found: T) => boolean): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS;
  for (let found = await read(); ; found = await read()) {
    if (isThere(found)) {
      return found;
    }
    if (performance.now() > deadline) {
      const shown = JSON.stringify(found, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
      throw new Error(`${what} has not come: ${shown}`);
    }
    await sleep(50);
  }
}

function divided(shards: number): Promise<RouteShards> {
  return until(
    `the change to ${shards} shards`,
    () => watcher.shards('r'),
    ({ inForce, wanted }) => inForce === shards && wanted === null,
  );
}

/** Each of them has settled something of its own since it began at the fence. */
async function atWork(): Promise<void> {
  await until(
    'work of every shard',
    async () => {
      const { rows } = await client.query<{ idle: number }>(
        'select count(*)::int as idle from millrace.ledger where high < counted_from',
      );
      return rows[0]?.idle;
    },
    (idle) => idle === 0,
  );
}

/** Everything that was committed is settled by every shard. */
async function settled(): Promise<void> {
  await until(
    'the end of the outbox',
    async () => {
      const { rows } = await client.query<{ behind: number }>(
        `select count(*)::int as behind from millrace.ledger l
         where l.low < (select max(position) from millrace.outbox) or l.fence is not null`,
      );
      return rows[0]?.behind;
    },
    (behind) => behind === 0,
  );
}

/** Publishes one event after the other until told to stop; how many of each key. */
class Load {
  private readonly versions = new Map<string, number>();
  private isOver = false;
  private readonly life: Promise<void>;

  constructor() {
    this.life = this.live();
  }

  async stop(): Promise<ReadonlyMap<string, number>> {
    this.isOver = true;
    await this.life;
    return this.versions;
  }

  get count(): number {
    return [...this.versions.values()].reduce((sum, versions) => sum + versions, 0);
  }

  /** Goes on for so many events more. */
  async events(count: number): Promise<void> {
    const goal = this.count + count;
    await until(
      'the load',
      () => this.count,
      (events) => events >= goal,
    );
  }

  private async live(): Promise<void> {
    for (let event = 0; !this.isOver; event += 1) {
      const key = `key-${event % KEYS}`;
      const version = (this.versions.get(key) ?? 0) + 1;
      await publish(key, version);
      this.versions.set(key, version);
    }
  }
}

interface Stored {
  readonly partition: number;
  readonly key: string;
  readonly version: number;
  readonly route: string;
  readonly epoch: number;
}

async function stored(): Promise<Stored[]> {
  const topic = `outbox.event.${aggregateType}`;
  const records = await consoleConsume({ brokers: testKafkaBrokers(), topic });
  await deleteTopic(testKafkaBrokers(), topic);
  return records.map(({ partition, key, headers }) => ({
    partition,
    key: key ?? '',
    version: Number(headers['aggregateversion']),
    route: headers['millrace-route'] ?? '',
    epoch: Number(headers['millrace-epoch']),
  }));
}

/** First copies by key, and the records that came again. */
function copiesOf(records: readonly Stored[]): { first: Map<string, number[]>; again: Stored[] } {
  const first = new Map<string, number[]>();
  const again = records.filter(({ key, version }) => {
    const versions = first.get(key) ?? [];
    first.set(key, versions);
    return versions.includes(version) || versions.push(version) === 0;
  });
  return { first, again };
}

/** Where an older epoch writes after a younger one. */
function steppingBack(records: readonly Stored[]): Stored[] {
  const highest = new Map<number, number>();
  return records.filter(({ partition, epoch }) => {
    const before = highest.get(partition) ?? 0;
    highest.set(partition, Math.max(before, epoch));
    return epoch < before;
  });
}

describe('a route that is divided anew under load', () => {
  it.each(['polling', 'auto'] as const)(
    'loses nothing, keeps the order and has one writer in each partition: %s',
    async (mode) => {
      const a = start({ owner: 'a', sink: kafka(), shards: 2, capture: mode });
      start({ owner: 'b', sink: kafka(), shards: 5, capture: mode });
      await until(
        'the first claim',
        () => a.routeStatus('r').state.kind,
        (kind) => kind === 'running' || kind === 'standby',
      );
      const load = new Load();
      await load.events(300);
      const { inForce } = await watcher.shards('r');
      for (const shards of [inForce === 2 ? 3 : 2, 3, 1]) {
        await a.setShards({ route: 'r', shards, actor: 'anna', reason: null });
        await divided(shards);
        await atWork();
        await load.events(300);
      }
      const versions = await load.stop();
      await settled();
      const records = await stored();
      const { first, again } = copiesOf(records);
      expect([...first].map(([key, found]) => [key, found.length])).toEqual(
        expect.arrayContaining([...versions].map(([key, last]) => [key, last])),
      );
      for (const [key, found] of first) {
        expect({ key, found }).toEqual({ key, found: Array.from(found, (_, index) => index + 1) });
      }
      expect(steppingBack(records)).toEqual([]);
      expect(new Set(records.map(({ route }) => routeOfHeader(route)))).toEqual(new Set(['r']));
      expect(new Set(records.map(({ route }) => route)).size).toBeGreaterThanOrEqual(4);
      // what was in flight when the claims ended, of some pages at most
      expect(again.length).toBeLessThan(records.length / 4);
    },
    TIMEOUT_MS,
  );
});

describe('a shard that cannot send', () => {
  /** No shard moves to the second relay while the first has any. */
  const FOR_EVER_MS = 3_600_000;

  /** Of the two shards of one relay the second waits for its sink, the first has settled what comes after. */
  async function stuck(): Promise<RelayEngine> {
    const held = new FakeSink();
    held.isHolding = true;
    const engine = start({ owner: 'stuck', sink: held, shards: 2, settlingMs: FOR_EVER_MS });
    await until(
      'both claims',
      () => engine.status().map(({ state }) => state.kind),
      (kinds) => kinds.every((kind) => kind === 'running'),
    );
    await publish(SECOND_LANE, 1);
    await publish(FIRST_LANE, 1);
    await until(
      'both sends',
      () => held.sends.length,
      (sends) => sends === 2,
    );
    held.sends.find(({ lane }) => lane.endsWith('/0'))?.accept();
    await until(
      'the first shard',
      () => watcher.shards('r'),
      ({ shards }) => shards[0]?.low === 2n,
    );
    return engine;
  }

  async function sentAfter(engine: RelayEngine, rule: 'as made' | 'at once'): Promise<readonly string[]> {
    const free = new FakeSink();
    start({ owner: 'free', sink: free, shards: 1, settlingMs: FOR_EVER_MS });
    await engine.setShards({ route: 'r', shards: 1, actor: 'anna', reason: null });
    await publish(SECOND_LANE, 2);
    if (rule === 'at once') {
      await client.query(AT_ONCE);
    } else {
      const waiting = await until(
        'the first shard to be done',
        () => watcher.shards('r'),
        ({ shards }) => shards[0]?.isDrained === true,
      );
      expect(waiting).toMatchObject({ inForce: 2, wanted: 1, fence: 2n });
      expect(waiting.shards.map(({ isDrained }) => isDrained)).toEqual([true, false]);
      expect(free.sends).toEqual([]);
    }
    await engine.stop();
    await divided(1);
    await settled();
    return free.sends.flatMap(({ positions }) => positions);
  }

  it(
    'makes the change wait, visibly, until another relay has sent what it had',
    async () => {
      expect(await sentAfter(await stuck(), 'as made')).toEqual(['1', '3']);
    },
    TIMEOUT_MS,
  );

  it(
    'would lose it if the new shards began at once',
    async () => {
      expect(await sentAfter(await stuck(), 'at once')).toEqual(['3']);
    },
    TIMEOUT_MS,
  );
});
