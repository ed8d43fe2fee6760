import { randomUUID } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { defineEvent, type EventContract, HEADER } from '@millrace/events';
import { portOf, StartError } from '@millrace/http';
import { HandleEvent, type ReceivedEvent, type Transaction } from '@millrace/inbox';
import {
  createTestDatabase,
  createTopic,
  type TestDatabase,
  testKafkaBrokers,
  uniqueName,
  until,
} from '@millrace/testing';
import { createKafkaSink, type SinkRecord, type SubscriptionStatus } from '@millrace/transport';
import { Injectable, Module, type Provider } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';
import type pg from 'pg';
import { DataSource } from 'typeorm';

import { Database } from './database.js';
import { type InvariantReport } from './invariant-report.js';
import { migrateTables } from './migrate-tables.js';
import { readServiceConfig, type ServiceConfig } from './service.config.js';
import { createServiceApp, type ServiceModuleFactory } from './service-app.js';
import { type ServiceDefinition } from './service-definition.js';
import { ServiceModule } from './service.module.js';
import { idleSubscription, PATIENT_LIMITS } from './testing.js';
import { PotEntity, pourSchema, teaService, TeaPoured } from './testing/tea-service.js';

@Injectable()
class TeaDrinker {
  @HandleEvent(TeaPoured)
  async drink({ payload }: ReceivedEvent<typeof TeaPoured>, tx: Transaction): Promise<void> {
    await tx.manager.insert(PotEntity, { name: payload.pot, cups: payload.cups });
  }
}

@Injectable()
class SecondDrinker extends TeaDrinker {
  @HandleEvent(TeaPoured)
  override async drink(event: ReceivedEvent<typeof TeaPoured>, tx: Transaction): Promise<void> {
    await super.drink(event, tx);
  }
}

@Module({})
class TeaModule {}

/** The service with the given handlers. */
function moduleWith(providers: Provider[], service: ServiceDefinition = teaService): ServiceModuleFactory {
  return (connections, config) => ({
    module: TeaModule,
    imports: [ServiceModule.forRoot(service, connections, config)],
    providers,
  });
}

/** The event as a relay sends it. */
function recordOf<Payload>(contract: EventContract<Payload>, payload: Payload): SinkRecord {
  const headers = Object.entries({
    [HEADER.id]: randomUUID(),
    [HEADER.eventType]: contract.type,
    [HEADER.schemaVersion]: '1',
    [HEADER.source]: 'kitchen',
    [HEADER.route]: 'kitchen',
    [HEADER.position]: '1',
    [HEADER.epoch]: '1',
    [HEADER.low]: '0',
  });
  return {
    key: Buffer.from(contract.keyOf(payload)),
    value: Buffer.from(JSON.stringify(payload)),
    headers: headers.map(([name, value]) => [Buffer.from(name), Buffer.from(value)]),
  };
}

describe('a service', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let app: NestExpressApplication | undefined;

  beforeEach(async () => {
    database = await createTestDatabase();
    await migrateTables(teaService, { url: database.url, poolMax: 2 });
    client = await database.connect();
  });

  afterEach(async () => {
    await app?.close();
    app = undefined;
    await client.end();
    await database.drop();
  });

  const configOf = (environment: NodeJS.Dict<string> = {}): ServiceConfig => {
    const config = readServiceConfig(teaService, {
      DATABASE_URL: database.url,
      KAFKA_BROKERS: '127.0.0.1:9',
      LOG_LEVEL: 'silent',
      ...environment,
    });
    return { ...config, database: { ...config.database, limits: PATIENT_LIMITS } };
  };

  const start = async (config: Partial<ServiceConfig> = {}, providers: Provider[] = [TeaDrinker]): Promise<string> => {
    const whole = { ...configOf(), subscribe: idleSubscription, ...config };
    app = await createServiceApp(teaService, whole, moduleWith(providers));
    await app.listen(0, '127.0.0.1');
    return `http://127.0.0.1:${portOf(app)}`;
  };

  const refusalOf = async (work: Promise<unknown>): Promise<string> => {
    const outcome: unknown = await work.catch((error: unknown) => error);
    return outcome instanceof StartError ? outcome.problems.join('\n') : `not refused: ${String(outcome)}`;
  };

  /** What a check of the readiness says that came to its end in time. */
  const readiness = async (url: string): Promise<readonly [number, unknown]> =>
    await until(
      async (): Promise<readonly [number, unknown]> => {
        const response = await fetch(`${url}/health/ready`);
        return [response.status, await response.json()];
      },
      ([, body]) => !JSON.stringify(body).includes('check-timed-out'),
      'a check of the readiness that came to its end',
    );

  it('applies the events of Kafka under its own name, though requests have taken all of their connections', async () => {
    const brokers = testKafkaBrokers();
    const aggregate = uniqueName('tea');
    const PotFilled = defineEvent({
      type: 'pot.filled',
      schemaVersion: 1,
      aggregate,
      key: ({ pot }) => pot,
      schema: pourSchema,
    });
    class PotFiller {
      @HandleEvent(PotFilled)
      async fill({ payload }: ReceivedEvent<typeof PotFilled>, tx: Transaction): Promise<void> {
        await tx.manager.insert(PotEntity, { name: payload.pot, cups: payload.cups });
      }
    }
    const topic = `outbox.event.${aggregate}`;
    await createTopic({ brokers, topic, partitions: 2 });
    const service = { ...teaService, name: uniqueName('tea') };
    const config = configOf({ KAFKA_BROKERS: brokers.join(','), DATABASE_POOL_MAX: '2' });
    app = await createServiceApp(service, config, moduleWith([PotFiller], service));
    await app.listen(0, '127.0.0.1');
    const dataSource = app.get(DataSource);
    const requests = [dataSource.createQueryRunner(), dataSource.createQueryRunner()];
    for (const request of requests) {
      await request.connect();
    }

    const sink = createKafkaSink({ client: 'platformatic', connection: { brokers }, topics: { create: false } });
    await sink.start();
    const event = recordOf(PotFilled, { pot: 'blue', cups: 3 });
    await sink.send((await sink.openTopic(topic)).laneOf(event.key), [event, event]);
    await sink.stop();

    const rowsOf = async (sql: string): Promise<readonly unknown[]> => (await client.query<object>(sql)).rows;
    const pots = await until(
      async () => await rowsOf('select name, cups from pot'),
      ({ length }) => length > 0,
      'a filled pot',
    );
    expect(pots).toEqual([{ name: 'blue', cups: '3' }]);
    const progress = await until(
      async () => await rowsOf('select consumer from millrace.inbox_partition'),
      ({ length }) => length > 0,
      'its progress',
    );
    expect(progress[0]).toEqual({ consumer: service.name });
    const url = `http://127.0.0.1:${portOf(app)}`;
    await until(
      async () => await readiness(url),
      ([status]) => status === 200,
      'the service to be ready',
    );
    for (const request of requests) {
      await request.release();
    }
    // what a member that lost its partition had handled comes once more
    const duplicate = /^millrace_inbox_\w+\{.*type="pot.filled".*outcome="duplicate"\} [1-9]\d*$/m;
    const metrics = await until(
      async () => await (await fetch(`${url}/metrics`)).text(),
      (text) => duplicate.test(text),
      'the second record to be counted',
    );
    expect(metrics).toMatch(/^millrace_inbox_\w+\{.*type="pot.filled".*outcome="applied"\} 1$/m);
  });

  it('is ready while both its database and its consumer are', async () => {
    let status: SubscriptionStatus = { kind: 'joining' };
    const url = await start({ subscribe: () => ({ ...idleSubscription(), status: () => status }) });
    expect(await readiness(url)).toEqual([503, { status: 'not-ready', reasons: ['consumer-joining'] }]);
    status = { kind: 'running', partitions: 0, missingTopics: [] };
    expect(await readiness(url)).toEqual([200, { status: 'ok' }]);
    status = { kind: 'rebuilding', reason: 'a broker went away', attempt: 1 };
    expect(await readiness(url)).toEqual([503, { status: 'not-ready', reasons: ['consumer-rebuilding'] }]);
    status = { kind: 'running', partitions: 0, missingTopics: [] };
    await client.query('delete from migration');
    expect(await readiness(url)).toEqual([503, { status: 'not-ready', reasons: ['tables-not-migrated'] }]);
  });

  it('does not start, in a sentence, without handlers, or with two for one event', async () => {
    expect(await refusalOf(start({}, []))).toMatch(/HandleEvent/);
    expect(await refusalOf(start({}, [TeaDrinker, SecondDrinker]))).toMatch(/TeaDrinker.*SecondDrinker/);
  });

  it('does not start, in a sentence, when its user may not use the inbox', async () => {
    const role = `${database.name}_app`;
    await client.query(`
      create role ${role} login;
      grant millrace_producer to ${role};
      grant select on migration to ${role}`);
    const asRole = new URL(database.url);
    asRole.username = role;
    try {
      const refusal = await refusalOf(start({ database: { url: asRole.toString(), poolMax: 2 } }));
      expect(refusal).toContain('grant millrace_consumer');
    } finally {
      await client.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  describe('GET /invariants', () => {
    const report = async (url: string): Promise<InvariantReport> =>
      (await (await fetch(`${url}/invariants`)).json()) as InvariantReport;

    it('tells figures and rules with their numbers', async () => {
      const url = await start();
      await client.query(`insert into pot values ('blue', 9007199254740993)`);
      expect(await report(url)).toEqual({
        service: 'tea',
        checkedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        holds: false,
        figures: { pots: 1, cups: '9007199254740993' },
        invariants: [
          {
            name: 'no-debt-of-tea',
            rule: 'No pot holds less than nothing.',
            holds: true,
            numbers: { leastCups: '9007199254740993' },
          },
          {
            name: 'event-per-pot',
            rule: 'The outbox has one event for each pot.',
            holds: false,
            numbers: { pots: '1', events: '0' },
          },
        ],
      });
    });

    it('is in the document of the API, with the figures of the service', async () => {
      const url = await start();
      const document: unknown = await (await fetch(`${url}/openapi.json`)).json();
      expect(JSON.stringify(document)).toContain('"required":["pots","cups"]');
    });

    it('reads everything from one snapshot, and can change nothing', async () => {
      await start();
      const database = app?.get(Database);
      const counts = await database?.snapshot(async (query) => {
        const before = await query('select count(*)::integer as pots from pot');
        await client.query(`insert into pot values ('green', 1)`);
        return [...before, ...(await query('select count(*)::integer as pots from pot'))];
      });
      expect(counts).toEqual([{ pots: 0 }, { pots: 0 }]);
      const change = database?.snapshot(async (query) => await query('delete from pot returning name'));
      await expect(change).rejects.toThrow('read-only');
    });
  });
});
