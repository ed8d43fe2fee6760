import { type ServiceConfig, type ServiceConnections, ServiceModule } from '@millrace/service';
import { type DynamicModule, Module } from '@nestjs/common';

import { inventoryService } from './inventory.definition.js';
import { OrderEventsHandler } from './reservations/order-events.handler.js';
import { ReservationBook } from './reservations/reservation-book.js';
import { ReservationController } from './reservations/reservation.controller.js';
import { ReservationMetrics } from './reservations/reservation-metrics.js';
import { StockController } from './stock/stock.controller.js';
import { StockService } from './stock/stock.service.js';

/** The inventory service over connections that are open; they are closed with the app. */
@Module({})
export class InventoryModule {
  static forRoot(connections: ServiceConnections, config: ServiceConfig): DynamicModule {
    return {
      module: InventoryModule,
      imports: [ServiceModule.forRoot(inventoryService, connections, config)],
      controllers: [StockController, ReservationController],
      providers: [StockService, ReservationBook, ReservationMetrics, OrderEventsHandler],
    };
  }
}
