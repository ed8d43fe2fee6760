import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type CaptureMode, createOutboxSource, type SourcePort } from '@millrace/capture';
import { createTestDatabase, type TestDatabase, until } from '@millrace/testing';
import { createPostgresSink, type SinkPort } from '@millrace/transport';
import type pg from 'pg';
import { type SharingTuning } from './placement.js';
import { RelayEngine } from './relay-engine.js';
import { type RouteTuning } from './route-config.js';

const TIMEOUT_MS = 120_000;
const KEYS = 8;
const SHARING: SharingTuning = {
  beatMs: 200,
  presenceTtlMs: 1_500,
  graceMs: 300,
  settlingMs: 300,
  declineMs: 60_000,
};
const TUNING: Partial<RouteTuning> = {
  leaseTtlMs: 1_500,
  leaseMarginMs: 300,
  standbyLookMs: 100,
  beatMs: 100,
  drainMs: 1_000,
  batchRecordsMax: 3,
};
/** What stands in the target's log, in the order of each partition. */
const DELIVERED = `select convert_from(record_key, 'utf8') as key,
  (convert_from(record_value, 'utf8')::jsonb ->> 'version')::integer as version
from millrace.delivery order by partition_id, record_offset`;

/** Stops a relay at a named place: everything that it asks of its servers from there on waits until it thaws. */
class Freezer {
  #armed: string | null = null;
  #thaw = (): void => undefined;
  #gate: Promise<void> = Promise.resolve();
  #reached = (): void => undefined;

  /** Resolves when the relay stands still. */
  freezeAt(place: string): Promise<void> {
    this.#armed = place;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }

  thaw(): void {
    this.#thaw();
  }

  async pass(place: string): Promise<void> {
    if (this.#armed === place) {
      this.#armed = null;
      this.#gate = new Promise((resolve) => {
        this.#thaw = resolve;
      });
      this.#reached();
    }
    await this.#gate;
  }
}

describe('a route into the database of a consumer', () => {
  let source: TestDatabase;
  let target: TestDatabase;
  let atSource: pg.Client;
  let atTarget: pg.Client;
  let engines: { readonly engine: RelayEngine; readonly freezer: Freezer }[];
  let written: number;

  beforeEach(async () => {
    [source, target] = [await createTestDatabase(), await createTestDatabase()];
    [atSource, atTarget] = [await source.connect(), await target.connect()];
    engines = [];
    written = 0;
  }, TIMEOUT_MS);

  afterEach(async () => {
    for (const { freezer } of engines) {
      freezer.thaw();
    }
    await Promise.all(engines.map(({ engine }) => engine.stop()));
    await atSource.query(
      'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()',
    );
    await Promise.all([atSource.end(), atTarget.end()]);
    await Promise.all([source.drop(), target.drop()]);
  }, TIMEOUT_MS);

  function start(
    owner: string,
    { capture = 'polling', targetUrl = target.url }: { capture?: CaptureMode; targetUrl?: string } = {},
  ): Freezer {
    const freezer = new Freezer();
    const sink = createPostgresSink({ databaseUrl: targetUrl, partitions: 2, removeIntervalMs: 3_600_000 });
    const outbox = createOutboxSource({ name: 'shop', databaseUrl: source.url, capture });
    passAt(freezer, outbox, sink);
    const engine = new RelayEngine({
      owner,
      sources: new Map([['shop', outbox]]),
      sinks: new Map([['stock', sink]]),
      routes: [{ name: 'to-stock', source: 'shop', sink: 'stock', tuning: TUNING }],
      sharing: SHARING,
    });
    engines.push({ engine, freezer });
    engine.start();
    return freezer;
  }

  /** One more version of each key. */
  async function publish(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      written += 1;
      await atSource.query(
        `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
         select gen_random_uuid(), 'order', 'k' || n, 'changed', jsonb_build_object('version', $1::integer)
         from generate_series(1, $2::integer) n`,
        [written, KEYS],
      );
    }
  }

  async function delivered(): Promise<ReadonlyMap<string, readonly number[]>> {
    const { rows } = await atTarget.query<{ key: string; version: number }>(DELIVERED);
    const versions = new Map<string, number[]>();
    for (const { key, version } of rows) {
      versions.set(key, [...(versions.get(key) ?? []), version]);
    }
    return versions;
  }

  async function deliveredAll(): Promise<void> {
    await until(
      delivered,
      (versions) => versions.size === KEYS && [...versions.values()].every((own) => own.includes(written)),
      'the newest version of each key',
    );
  }

  /** Each version of each key stands there once, in its order, and the source knows it. */
  async function assertExactlyOnce(): Promise<void> {
    await deliveredAll();
    await until(
      async () =>
        (
          await atSource.query<{ is: boolean }>(
            `select low = (select max(position) from millrace.outbox) as is from millrace.ledger`,
          )
        ).rows[0]?.is,
      (isSettled) => isSettled === true,
      'the low of the ledger at the last position, which retention goes by',
    );
    const expected = Array.from({ length: written }, (_, index) => index + 1);
    for (const versions of (await delivered()).values()) {
      expect(versions).toEqual(expected);
    }
  }

  it.each(['before-send', 'after-send', 'before-ledger', 'after-ledger'])(
    'delivers each event once when its relay freezes at %s, another one takes over, and the first one wakes',
    async (place) => {
      const first = start('first');
      await publish(2);
      await deliveredAll();
      const frozen = first.freezeAt(place);
      await publish(3);
      await frozen;
      await publish(3);
      start('second');
      await deliveredAll();
      first.thaw();
      await publish(2);

      await assertExactlyOnce();
    },
    TIMEOUT_MS,
  );

  it(
    'delivers each event once when the ledger of the source is set back to before what was delivered',
    async () => {
      const first = start('first');
      await publish(3);
      await assertExactlyOnce();
      const stopping = engines.splice(0).map(({ engine }) => engine.stop());
      first.thaw();
      await Promise.all(stopping);
      await atSource.query('update millrace.ledger set low = 2, high = 2, leaf_lo = null, leaf_rows = 0');
      await publish(1);
      start('second');

      await assertExactlyOnce();
    },
    TIMEOUT_MS,
  );

  it(
    'delivers each event once over a fail-over of the source, of which the ledger has an older state',
    async () => {
      start('first');
      await publish(3);
      await assertExactlyOnce();
      await Promise.all(engines.splice(0).map(({ engine }) => engine.stop()));
      // as a standby has it that was behind, with the outbox, but not with the ledger
      await atSource.query(
        `update millrace.ledger set timeline = 0, low = 2, high = 2, leaf_lo = null, leaf_rows = 0,
           updated_at = clock_timestamp() - interval '1 minute'`,
      );
      await publish(2);
      start('second');

      await assertExactlyOnce();
    },
    TIMEOUT_MS,
  );

  it.each<CaptureMode>(['polling', 'wal'])(
    'delivers each event once when the target is away and comes back, captured by %s',
    async (capture) => {
      const login = `login_${target.name}`;
      await atTarget.query(`create role ${login} login password 'x'; grant millrace_relay to ${login}`);
      const targetUrl = Object.assign(new URL(target.url), { username: login, password: 'x' }).toString();
      start('first', { capture, targetUrl });
      await publish(2);
      await deliveredAll();
      await atTarget.query(`alter role ${login} nologin`);
      await atTarget.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [login]);
      await publish(5);
      await until(
        () => Promise.resolve(engines[0]?.engine.routeStatus('to-stock').state.kind),
        (kind) => kind === 'stalled',
        'a route that says that it stands still',
      );
      await atTarget.query(`alter role ${login} login`);

      await assertExactlyOnce();
      await Promise.all(engines.splice(0).map(({ engine }) => engine.stop()));
      await atTarget.query(`drop role ${login}`);
    },
    TIMEOUT_MS,
  );

  it(
    'stops by name when the target was set back to before what the source takes for delivered',
    async () => {
      start('first');
      await publish(3);
      await assertExactlyOnce();
      await Promise.all(engines.splice(0).map(({ engine }) => engine.stop()));
      await atTarget.query('delete from millrace.delivery where record_offset >= 2');
      await atTarget.query('update millrace.delivery_partition set next_offset = 2 where next_offset > 2');
      start('second');

      const state = await until(
        () => Promise.resolve(engines[0]?.engine.routeStatus('to-stock').state),
        (seen) => seen?.kind === 'stopped',
        'the route to stop',
      );
      expect(state).toMatchObject({ problem: { side: 'relay', code: 'log_cut' } });
    },
    TIMEOUT_MS,
  );

  it(
    'delivers each event once while connections to the target are cut again and again',
    async () => {
      start('first');
      start('second');
      for (let cut = 0; cut < 10; cut += 1) {
        await publish(2);
        await atTarget.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'millrace sink' and datname = $1`,
          [target.name],
        );
        await sleep(30);
      }

      await assertExactlyOnce();
    },
    TIMEOUT_MS,
  );
});

function passAt(freezer: Freezer, source: SourcePort, sink: SinkPort): void {
  const claim = source.claim.bind(source);
  source.claim = async (request) => {
    await freezer.pass('claim');
    const result = await claim(request);
    if (result.kind === 'claimed') {
      const { capture } = result;
      const [settle, renew, nextPage] = [
        capture.settle.bind(capture),
        capture.renew.bind(capture),
        capture.nextPage.bind(capture),
      ];
      capture.settle = async (page, ...further) => {
        await freezer.pass('before-ledger');
        const settled = await settle(page, ...further);
        await freezer.pass('after-ledger');
        return settled;
      };
      capture.renew = async (...given) => {
        await freezer.pass('renew');
        return renew(...given);
      };
      capture.nextPage = async () => {
        await freezer.pass('read');
        return nextPage();
      };
    }
    return result;
  };
  const send = sink.send.bind(sink);
  sink.send = async (lane, records) => {
    await freezer.pass('before-send');
    const receipt = await send(lane, records);
    await freezer.pass('after-send');
    return receipt;
  };
}
