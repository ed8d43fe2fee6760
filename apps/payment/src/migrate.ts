import 'reflect-metadata';

import { runMigration } from '@millrace/service';

import { paymentService } from './payment.definition.js';

await runMigration(paymentService);
