import 'reflect-metadata';

import { runMigration } from '@millrace/service';

import { orderService } from './order.definition.js';

await runMigration(orderService);
