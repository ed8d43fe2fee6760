import { ApiProblems } from '@millrace/http';
import { Database } from '@millrace/service';
import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { type FindPayments, findPaymentsSchema, type PaymentViews, paymentViewsSchema } from './payment-api.js';
import { PaymentEntity } from './payment.entity.js';

@ApiTags('payments')
@ApiProblems({ 400: 'the request is not valid', 503: 'the database does not answer now' })
@Controller('payments')
export class PaymentController {
  constructor(private readonly database: Database) {}

  @Get()
  @ApiOperation({ summary: 'The payment of an order', description: 'An empty list while it was not asked for money.' })
  @ApiResponse({ status: 200, description: 'none or one', standardSchema: paymentViewsSchema })
  async find(@Query({ schema: findPaymentsSchema }) { orderId }: FindPayments): Promise<PaymentViews> {
    const payments = await this.database.read(async (manager) => await manager.findBy(PaymentEntity, { orderId }));
    return payments.map(({ id, orderId: of, status, amountCents }) => ({ id, orderId: of, status, amountCents }));
  }
}
