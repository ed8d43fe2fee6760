import 'reflect-metadata';

import { runService } from '@millrace/service';

import { inventoryService } from './inventory.definition.js';
import { InventoryModule } from './inventory.module.js';

await runService(inventoryService, (connections, config) => InventoryModule.forRoot(connections, config));
