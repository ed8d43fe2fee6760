import { InboxModule, type SubscriptionRequest } from '@millrace/inbox';
import {
  createKafkaSubscription,
  createPostgresSubscription,
  createSqsSubscription,
  DirectoryPayloadStore,
  type SubscriptionPort,
} from '@millrace/transport';
import { type DynamicModule } from '@nestjs/common';
import { getDataSourceToken } from '@nestjs/typeorm';

import { type ServiceConfig } from './service.config.js';
import { type ServiceDefinition } from './service-definition.js';
import { SubscriptionLog, type ToldEvent } from './subscription-log.js';

/**
 * A service that crashed keeps its partitions until its session is over: so long its events wait. Within it a running
 * service ends its handlers when its partitions are taken.
 */
const SESSION_TIMEOUT_MS = 6_000;
const HEARTBEAT_MS = 2_000;
const DRAIN_MS = 5_000;
/** A service that stops waits for the poll that is under way. */
const WAIT_SECONDS = 3;

/** TypeORM's name for the consumer's data source. */
export const CONSUMER_CONNECTIONS = 'consumer';

/**
 * The service as a consumer under its own name: the handlers that are found in its app, on the topics of their events,
 * on connections of its own.
 */
export function inboxModuleOf({ name }: ServiceDefinition, config: ServiceConfig): DynamicModule {
  return InboxModule.forRoot({
    consumer: name,
    database: getDataSourceToken(CONSUMER_CONNECTIONS),
    concurrency: config.consumerConcurrency,
    batchSize: config.consumerBatch,
    subscribe: config.subscribe ?? ((request) => subscribe(request, config)),
  });
}

function subscribe({ consumer, topics }: SubscriptionRequest, { events, database }: ServiceConfig): SubscriptionPort {
  const log = new SubscriptionLog();
  const onEvent = (event: ToldEvent): void => {
    log.tell(event);
  };
  switch (events.kind) {
    case 'kafka':
      return createKafkaSubscription({
        client: events.client,
        connection: events.connection,
        groupId: consumer,
        clientId: consumer,
        topics,
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        heartbeatMs: HEARTBEAT_MS,
        drainMs: DRAIN_MS,
        onEvent,
      });
    case 'postgres':
      return createPostgresSubscription({
        databaseUrl: database.url,
        consumer,
        topics,
        leaseMs: SESSION_TIMEOUT_MS,
        beatMs: HEARTBEAT_MS / 2,
        drainMs: DRAIN_MS,
        onEvent,
      });
    case 'sqs':
      return createSqsSubscription({
        connection: events.connection,
        queues: events.queues,
        topics,
        ...(events.payloadsDirectory && { payloads: new DirectoryPayloadStore(events.payloadsDirectory) }),
        waitSeconds: WAIT_SECONDS,
        drainMs: DRAIN_MS,
        onEvent,
      });
  }
}
