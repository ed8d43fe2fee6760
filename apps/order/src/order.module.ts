import { OrderPlaced } from '@millrace/contracts';
import { HealthModule, IdempotencyKeys, MetricsModule } from '@millrace/http';
import { OutboxModule } from '@millrace/outbox';
import { DatabaseModule, DatabaseReadiness, type ServiceConfig } from '@millrace/service';
import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';

import { OrderController } from './orders/order.controller.js';
import { OrderMetrics } from './orders/order-metrics.js';
import { OrderService, SOURCE_NAME } from './orders/order.service.js';

/** The order service over a data source that is open; it is closed with the app. */
@Module({})
export class OrderModule {
  static forRoot(dataSource: DataSource, { source }: ServiceConfig): DynamicModule {
    return {
      module: OrderModule,
      imports: [
        TypeOrmModule.forRootAsync({
          useFactory: () => ({ ...dataSource.options, retryAttempts: 0 }),
          dataSourceFactory: () => Promise.resolve(dataSource),
        }),
        OutboxModule.forRoot({ events: [OrderPlaced], database: DataSource }),
        HealthModule.forRoot({ imports: [DatabaseModule], readiness: DatabaseReadiness }),
        MetricsModule,
        DatabaseModule,
      ],
      controllers: [OrderController],
      providers: [OrderService, OrderMetrics, IdempotencyKeys, { provide: SOURCE_NAME, useValue: source }],
    };
  }
}
