import 'reflect-metadata';

import { runService } from '@millrace/service';

import { orderService } from './order.definition.js';
import { OrderModule } from './order.module.js';

await runService(orderService, (dataSource, config) => OrderModule.forRoot(dataSource, config));
