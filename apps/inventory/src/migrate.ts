import 'reflect-metadata';

import { runMigration } from '@millrace/service';

import { inventoryService } from './inventory.definition.js';

await runMigration(inventoryService);
