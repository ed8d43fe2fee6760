import { type ServiceConfig, ServiceModule } from '@millrace/service';
import { type DynamicModule, Module } from '@nestjs/common';
import { type DataSource } from 'typeorm';

import { AccountController } from './accounts/account.controller.js';
import { AccountService } from './accounts/account.service.js';
import { paymentService } from './payment.definition.js';
import { PaymentController } from './payments/payment.controller.js';
import { PaymentEvents } from './payments/payment-events.js';
import { PaymentMetrics } from './payments/payment-metrics.js';

/** The payment service over a data source that is open; it is closed with the app. */
@Module({})
export class PaymentModule {
  static forRoot(dataSource: DataSource, config: ServiceConfig): DynamicModule {
    return {
      module: PaymentModule,
      imports: [ServiceModule.forRoot(paymentService, dataSource, config)],
      controllers: [AccountController, PaymentController],
      providers: [AccountService, PaymentEvents, PaymentMetrics],
    };
  }
}
