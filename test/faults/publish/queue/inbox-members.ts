import 'reflect-metadata';
import { InboxConsumer, InboxModule } from '@millrace/inbox';
import { createSqsSubscription, type SubscriptionPort } from '@millrace/transport';
import { type DynamicModule, type INestApplicationContext, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { createMigratedDatabase } from '../../../harness/servers.js';
import { KeyHandlers } from '../../consume/app/key-handlers.js';
import { checkApplied } from '../../consume/applied-check.js';
import { EFFECT_TABLES_SQL, EffectsDatabase } from '../../consume/effects-database.js';
import { committedEvents } from '../../workload.js';
import { emptied } from './emptied.js';
import { CONNECTION, WAIT_SECONDS } from './plain-consumer.js';
import { type QueueScene } from './queue-row.js';

/** A handler of these rows may work for some seconds, and a twin waits until it is done. */
const LIMITS = { statement_timeout: 50_000, lock_timeout: 45_000, idle_in_transaction_session_timeout: 55_000 };
const CONCURRENCY = 8;
const CONSUMER = 'consumer';

/** Members of one consumer, each an application with an inbox, in this process; they have a database of their own. */
export class InboxMembers {
  private readonly counts = { duplicates: 0, visibilityLost: 0 };

  private constructor(
    private readonly scene: QueueScene,
    private readonly database: EffectsDatabase,
  ) {}

  /** The first member is to join yet. All of them end with the row. */
  static async create(scene: QueueScene): Promise<InboxMembers> {
    Logger.overrideLogger(false); // what they say would stand among the results
    const database = new EffectsDatabase(await createMigratedDatabase(scene.world.postgres, CONSUMER));
    await database.query(EFFECT_TABLES_SQL);
    return new InboxMembers(scene, database);
  }

  /** Records that the inbox knew. */
  get duplicates(): number {
    return this.counts.duplicates;
  }

  /** Messages that SQS has shown to others while they were in work. */
  get visibilityLost(): number {
    return this.counts.visibilityLost;
  }

  /** Behind the proxy of the scene. */
  async join(visibilitySeconds: number): Promise<void> {
    const dataSource = await new DataSource({
      type: 'postgres',
      url: this.database.url,
      poolSize: CONCURRENCY + 4,
      extra: LIMITS,
    }).initialize();
    this.scene.world.atEnd(async () => dataSource.destroy());
    const member = await NestFactory.createApplicationContext(this.moduleOf(dataSource, visibilitySeconds));
    this.scene.world.atEnd(async () => member.close());
    this.count(member);
  }

  /** How many events of keys that begin so had their effect. */
  async countApplied(prefix: string): Promise<number> {
    const sql = 'select count(distinct id)::integer as count from effect where starts_with(key, $1)';
    const [row] = await this.database.query<{ count: number }>(sql, [prefix]);
    return row?.count ?? 0;
  }

  /** Once all is published and nothing is left in the queue: each event must have had its effect once, in order per key. */
  async judge(): Promise<void> {
    const { world, sqs, queue } = this.scene;
    await world.endLoad();
    await world.settles();
    await emptied(sqs, queue);
    const problems = checkApplied(await committedEvents(world.databaseUrl), await this.database.history(), {
      isOrdered: true,
    });
    for (const { kind, text } of problems) {
      world.found('other', `applied: ${kind}: ${text}`);
    }
  }

  private moduleOf(dataSource: DataSource, visibilitySeconds: number): DynamicModule {
    const database = { provide: DataSource, useValue: dataSource };
    return {
      module: MemberModule,
      imports: [
        { module: MemberDatabaseModule, global: true, providers: [database], exports: [database] },
        InboxModule.forRoot({
          consumer: CONSUMER,
          database: DataSource,
          subscribe: ({ topics }) => this.subscriptionTo(topics, visibilitySeconds),
          topicOf: () => this.scene.topic,
          batchSize: 1,
          concurrency: CONCURRENCY,
        }),
      ],
      providers: [KeyHandlers],
    };
  }

  private subscriptionTo(topics: readonly string[], visibilitySeconds: number): SubscriptionPort {
    const { sqs, proxy, queue, reader } = this.scene;
    return reader.around(
      createSqsSubscription({
        connection: CONNECTION,
        queues: sqs.urlOf(queue, proxy.endpoint),
        topics,
        visibilitySeconds,
        waitSeconds: WAIT_SECONDS,
        onEvent: (event) => {
          this.counts.visibilityLost += event.kind === 'visibility_lost' ? event.messages : 0;
        },
      }),
    );
  }

  private count(member: INestApplicationContext): void {
    member.get(InboxConsumer).observe({
      recordSettled: ({ settlement }) => {
        this.counts.duplicates += Number(settlement === 'duplicate');
      },
    });
  }
}

@Module({})
class MemberDatabaseModule {}

@Module({})
class MemberModule {}
