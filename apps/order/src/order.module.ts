import { type ServiceConfig, ServiceModule } from '@millrace/service';
import { type DynamicModule, Module } from '@nestjs/common';
import { type DataSource } from 'typeorm';

import { orderService } from './order.definition.js';
import { OrderChanges } from './orders/order-changes.js';
import { OrderChoreography } from './orders/order-choreography.js';
import { OrderMetrics } from './orders/order-metrics.js';
import { OrderController } from './orders/order.controller.js';
import { OrderService } from './orders/order.service.js';

/** The order service over a data source that is open; it is closed with the app. */
@Module({})
export class OrderModule {
  static forRoot(dataSource: DataSource, config: ServiceConfig): DynamicModule {
    return {
      module: OrderModule,
      imports: [ServiceModule.forRoot(orderService, dataSource, config)],
      controllers: [OrderController],
      providers: [OrderService, OrderChanges, OrderChoreography, OrderMetrics],
    };
  }
}
