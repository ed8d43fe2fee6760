import { ApiIdempotencyKey, ApiProblems, Idempotent, type IdempotentRequest } from '@millrace/http';
import { Body, Controller, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';

import {
  type ListOrders,
  listOrdersSchema,
  orderAcceptedSchema,
  type OrderPage,
  orderPageSchema,
  orderPathSchema,
  type OrderView,
  orderViewSchema,
  type PlaceOrder,
  placeOrderSchema,
} from './order-api.js';
import { OrderService } from './order.service.js';

@ApiTags('orders')
@ApiProblems({ 400: 'the request is not valid', 503: 'the database does not answer now' })
@Controller('orders')
export class OrderController {
  constructor(private readonly orders: OrderService) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({
    summary: 'Place an order',
    description:
      'Accepted when the order and its event are stored. Stock and payment follow; GET the Location for the outcome.',
  })
  @ApiIdempotencyKey()
  @ApiResponse({
    status: 202,
    description: 'the order is stored',
    standardSchema: orderAcceptedSchema,
    headers: {
      Location: { description: 'the path of the order', schema: { type: 'string' } },
      'Consistency-Token': { description: 'for a read that must see this write', schema: { type: 'string' } },
      'Idempotency-Replayed': { description: 'true when the answer is an earlier one', schema: { type: 'string' } },
    },
  })
  @ApiProblems({
    409: 'the first request with this key is still running',
    413: 'the body is larger than 64 KiB',
    415: 'the body is not JSON',
    422: 'the key was used for another body',
  })
  async place(
    @Idempotent() request: IdempotentRequest,
    @Body({ schema: placeOrderSchema }) wish: PlaceOrder,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    const { status, headers, body, isReplayed } = await this.orders.place(request, wish);
    response.status(status).set({ ...headers, ...(isReplayed ? { 'Idempotency-Replayed': 'true' } : {}) });
    return body;
  }

  @Get(':id')
  @ApiOperation({ summary: 'One order' })
  @ApiResponse({ status: 200, description: 'the order', standardSchema: orderViewSchema })
  @ApiProblems({ 404: 'no order has this id' })
  async get(@Param({ schema: orderPathSchema }) { id }: { id: string }): Promise<OrderView> {
    return await this.orders.get(id);
  }

  @Get()
  @ApiOperation({ summary: 'Orders, newest first, page by page' })
  @ApiResponse({ status: 200, description: 'one page', standardSchema: orderPageSchema })
  async list(@Query({ schema: listOrdersSchema }) query: ListOrders): Promise<OrderPage> {
    return await this.orders.list(query);
  }
}
