import { type ServiceConfig, ServiceModule } from '@millrace/service';
import { type DynamicModule, Module } from '@nestjs/common';
import { type DataSource } from 'typeorm';

import { inventoryService } from './inventory.definition.js';
import { OrderEventsHandler } from './reservations/order-events.handler.js';
import { ReservationBook } from './reservations/reservation-book.js';
import { ReservationController } from './reservations/reservation.controller.js';
import { ReservationMetrics } from './reservations/reservation-metrics.js';
import { StockController } from './stock/stock.controller.js';
import { StockService } from './stock/stock.service.js';

/** The inventory service over a data source that is open; it is closed with the app. */
@Module({})
export class InventoryModule {
  static forRoot(dataSource: DataSource, config: ServiceConfig): DynamicModule {
    return {
      module: InventoryModule,
      imports: [ServiceModule.forRoot(inventoryService, dataSource, config)],
      controllers: [StockController, ReservationController],
      providers: [StockService, ReservationBook, ReservationMetrics, OrderEventsHandler],
    };
  }
}
