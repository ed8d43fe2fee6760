import { type ServiceConfig, type ServiceConnections, ServiceModule } from '@millrace/service';
import { type DynamicModule, Module } from '@nestjs/common';

import { AccountController } from './accounts/account.controller.js';
import { AccountService } from './accounts/account.service.js';
import { paymentService } from './payment.definition.js';
import { PaymentController } from './payments/payment.controller.js';
import { PaymentEvents } from './payments/payment-events.js';
import { PaymentMetrics } from './payments/payment-metrics.js';

/** The payment service over connections that are open; they are closed with the app. */
@Module({})
export class PaymentModule {
  static forRoot(connections: ServiceConnections, config: ServiceConfig): DynamicModule {
    return {
      module: PaymentModule,
      imports: [ServiceModule.forRoot(paymentService, connections, config)],
      controllers: [AccountController, PaymentController],
      providers: [AccountService, PaymentEvents, PaymentMetrics],
    };
  }
}
