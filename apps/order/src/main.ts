import 'reflect-metadata';

import { runService } from '@millrace/service';

import { orderService } from './order.definition.js';
import { OrderModule } from './order.module.js';

await runService(orderService, (connections, config) => OrderModule.forRoot(connections, config));
