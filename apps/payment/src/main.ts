import 'reflect-metadata';

import { runService } from '@millrace/service';

import { paymentService } from './payment.definition.js';
import { PaymentModule } from './payment.module.js';

await runService(paymentService, (connections, config) => PaymentModule.forRoot(connections, config));
