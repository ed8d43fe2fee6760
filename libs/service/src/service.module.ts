import { HealthModule, IdempotencyKeys, MetricsModule } from '@millrace/http';
import { OutboxModule } from '@millrace/outbox';
import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';

import { DatabaseModule } from './database.module.js';
import { InboxMetrics } from './inbox-metrics.js';
import { InvariantsModule } from './invariants.module.js';
import { type ServiceConnections } from './service-connections.js';
import { type ServiceConfig } from './service.config.js';
import { CONSUMER_CONNECTIONS, inboxModuleOf } from './service-inbox.js';
import { ServiceReadiness } from './service-readiness.js';
import { SERVICE, type ServiceDefinition } from './service-definition.js';

/** The token of the relay's name for this service's database, a text; it is part of consistency tokens. */
export const SOURCE_NAME = Symbol('SOURCE_NAME');

@Module({ imports: [DatabaseModule], providers: [ServiceReadiness], exports: [ServiceReadiness] })
class ReadinessModule {}

/**
 * Everything of a service that is not its domain, for its module to import: the database (`Database`, closed with the
 * app), `Outbox` with the definition's contracts, the inbox with the handlers of the app, `IdempotencyKeys`, the metrics `Registry`, `SOURCE_NAME`, health,
 * `GET /metrics` and `GET /invariants`.
 */
@Module({})
export class ServiceModule {
  static forRoot(service: ServiceDefinition, connections: ServiceConnections, config: ServiceConfig): DynamicModule {
    return {
      module: ServiceModule,
      imports: [
        dataSourceModule(connections.requests),
        dataSourceModule(connections.consumer, CONSUMER_CONNECTIONS),
        OutboxModule.forRoot({ events: service.publishes, database: DataSource }),
        inboxModuleOf(service, config),
        HealthModule.forRoot({ imports: [ReadinessModule], readiness: ServiceReadiness }),
        InvariantsModule.forRoot(service),
        MetricsModule,
        DatabaseModule,
      ],
      providers: [
        InboxMetrics,
        IdempotencyKeys,
        { provide: SOURCE_NAME, useValue: config.source },
        { provide: SERVICE, useValue: service },
      ],
      exports: [DatabaseModule, MetricsModule, IdempotencyKeys, SOURCE_NAME],
    };
  }
}

/** Gives an open data source to Nest, which closes it with the app. */
function dataSourceModule(dataSource: DataSource, name?: string): DynamicModule {
  return TypeOrmModule.forRootAsync({
    ...(name === undefined ? {} : { name }),
    useFactory: () => ({ ...dataSource.options, retryAttempts: 0 }),
    dataSourceFactory: () => Promise.resolve(dataSource),
  });
}
