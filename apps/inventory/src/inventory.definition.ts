import { StockRefused, StockReleased, StockReserved, StockSold } from '@millrace/contracts';
import { type ServiceDefinition } from '@millrace/service';

import { inventoryInvariants } from './invariants/inventory-invariants.sql.js';
import { Inventory1763800000000 } from './migrations/1763800000000-inventory.js';
import { ReservationEntity, ReservationLineEntity } from './reservations/reservation.entity.js';
import { StockEntity, StockMovementEntity } from './stock/stock.entity.js';

export const inventoryService: ServiceDefinition = {
  name: 'inventory',
  title: 'Millrace inventory service',
  description: 'Keeps stock, and reserves it for orders: all lines of an order or none.',
  version: '0.1.0',
  port: 3002,
  handling: { concurrency: 1, batch: 50 },
  entities: [StockEntity, StockMovementEntity, ReservationEntity, ReservationLineEntity],
  migrations: [Inventory1763800000000],
  publishes: [StockReserved, StockRefused, StockSold, StockReleased],
  invariants: inventoryInvariants,
};
