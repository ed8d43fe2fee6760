import { PaymentCaptured, PaymentDeclined, PaymentRefunded } from '@millrace/contracts';
import { type ServiceDefinition } from '@millrace/service';

import { AccountEntity, AccountEntryEntity } from './accounts/account.entity.js';
import { paymentInvariants } from './invariants.js';
import { Payments1763710000000 } from './migrations/1763710000000-payments.js';
import { CancelledOrderEntity, PaymentEntity } from './payments/payment.entity.js';

export const paymentService: ServiceDefinition = {
  name: 'payment',
  title: 'Millrace payment service',
  description: "Keeps customers' accounts, charges them for orders and gives back what was charged for nothing.",
  version: '0.1.0',
  port: 3003,
  handling: { concurrency: 1, batch: 50 },
  entities: [AccountEntity, AccountEntryEntity, PaymentEntity, CancelledOrderEntity],
  migrations: [Payments1763710000000],
  publishes: [PaymentCaptured, PaymentDeclined, PaymentRefunded],
  invariants: paymentInvariants,
};
