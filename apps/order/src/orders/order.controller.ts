import {
  ANSWER_HEADERS,
  ApiIdempotencyKey,
  ApiProblems,
  etagOf,
  giveAnswer,
  Idempotent,
  type IdempotentRequest,
} from '@millrace/http';
import { Body, Controller, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';

import {
  cancelOrderSchema,
  type ListOrders,
  listOrdersSchema,
  orderAcceptedSchema,
  orderCancelledSchema,
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
    headers: { ...ANSWER_HEADERS.location, ...ANSWER_HEADERS.consistencyToken, ...ANSWER_HEADERS.replayed },
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
    return giveAnswer(response, await this.orders.place(request, wish));
  }

  @Post(':id/cancel')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Cancel a pending order',
    description: 'Its stock and, if it was captured meanwhile, its money are given back.',
  })
  @ApiIdempotencyKey()
  @ApiResponse({
    status: 202,
    description: 'the order is cancelled',
    standardSchema: orderCancelledSchema,
    headers: { ...ANSWER_HEADERS.consistencyToken, ...ANSWER_HEADERS.replayed },
  })
  @ApiProblems({
    404: 'no order has this id',
    409: 'the order is confirmed, rejected or cancelled already, or the first request with this key is still running',
    422: 'the key was used for another order',
  })
  async cancel(
    @Idempotent() request: IdempotentRequest,
    @Param({ schema: orderPathSchema }) { id }: { id: string },
    @Body({ schema: cancelOrderSchema }) _none: undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return giveAnswer(response, await this.orders.cancel(request, id));
  }

  @Get(':id')
  @ApiOperation({ summary: 'One order' })
  @ApiResponse({
    status: 200,
    description: 'the order',
    standardSchema: orderViewSchema,
    headers: ANSWER_HEADERS.etag,
  })
  @ApiProblems({ 404: 'no order has this id' })
  async get(
    @Param({ schema: orderPathSchema }) { id }: { id: string },
    @Res({ passthrough: true }) response: Response,
  ): Promise<OrderView> {
    const order = await this.orders.get(id);
    response.set('ETag', etagOf(order.version));
    return order;
  }

  @Get()
  @ApiOperation({ summary: 'Orders, newest first, page by page' })
  @ApiResponse({ status: 200, description: 'one page', standardSchema: orderPageSchema })
  async list(@Query({ schema: listOrdersSchema }) query: ListOrders): Promise<OrderPage> {
    return await this.orders.list(query);
  }
}
