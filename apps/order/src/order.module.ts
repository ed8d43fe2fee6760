import { type ServiceConfig, type ServiceConnections, ServiceModule } from '@millrace/service';
import { type DynamicModule, Module } from '@nestjs/common';

import { orderService } from './order.definition.js';
import { OrderChanges } from './orders/order-changes.js';
import { OrderChoreography } from './orders/order-choreography.js';
import { OrderMetrics } from './orders/order-metrics.js';
import { OrderController } from './orders/order.controller.js';
import { OrderService } from './orders/order.service.js';

/** The order service over connections that are open; they are closed with the app. */
@Module({})
export class OrderModule {
  static forRoot(connections: ServiceConnections, config: ServiceConfig): DynamicModule {
    return {
      module: OrderModule,
      imports: [ServiceModule.forRoot(orderService, connections, config)],
      controllers: [OrderController],
      providers: [OrderService, OrderChanges, OrderChoreography, OrderMetrics],
    };
  }
}
