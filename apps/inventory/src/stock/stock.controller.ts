import {
  ANSWER_HEADERS,
  ApiIdempotencyKey,
  ApiIfMatch,
  ApiProblems,
  etagOf,
  giveAnswer,
  Idempotent,
  type IdempotentRequest,
  IfMatch,
  type Precondition,
} from '@millrace/http';
import { Body, Controller, Get, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';

import {
  type Adjustment,
  adjustmentSchema,
  type MovementPage,
  movementPageSchema,
  type PageQuery,
  pageQuerySchema,
  type PutStock,
  putStockSchema,
  type StockPage,
  stockPageSchema,
  stockPathSchema,
  type StockView,
  stockViewSchema,
} from './stock-api.js';
import { toStockView } from './stock-view.js';
import { StockService } from './stock.service.js';

@ApiTags('stock')
@ApiProblems({ 400: 'the request is not valid', 503: 'the database does not answer now' })
@Controller('stock')
export class StockController {
  constructor(private readonly stock: StockService) {}

  @Put(':sku')
  @ApiOperation({
    summary: 'Set what is on hand, as counted',
    description: 'Makes an article known, or notes the difference to what was on hand as a movement.',
  })
  @ApiIfMatch()
  @ApiResponse({
    status: 200,
    description: 'the stock now',
    standardSchema: stockViewSchema,
    headers: ANSWER_HEADERS.etag,
  })
  @ApiProblems({
    409: 'less than what is reserved for orders',
    412: 'the stock has changed since the version of If-Match, or does not exist',
    413: 'the body is larger than 64 KiB',
    415: 'the body is not JSON',
    428: 'the article exists, so If-Match is required',
  })
  async put(
    @Param({ schema: stockPathSchema }) { sku }: { sku: string },
    @IfMatch() precondition: Precondition,
    @Body({ schema: putStockSchema }) { onHand }: PutStock,
    @Res({ passthrough: true }) response: Response,
  ): Promise<StockView> {
    const stock = await this.stock.count(sku, onHand, precondition);
    response.set('ETag', etagOf(stock.version));
    return toStockView(stock);
  }

  @Post(':sku/adjustments')
  @HttpCode(200)
  @ApiOperation({ summary: 'Note that pieces came or went' })
  @ApiIdempotencyKey()
  @ApiResponse({
    status: 200,
    description: 'the stock after it',
    standardSchema: stockViewSchema,
    headers: { ...ANSWER_HEADERS.etag, ...ANSWER_HEADERS.replayed },
  })
  @ApiProblems({
    404: 'no article has this SKU',
    409: 'less would be left than is reserved for orders, or the first request with this key is still running',
    413: 'the body is larger than 64 KiB',
    415: 'the body is not JSON',
    422: 'the key was used for another request',
  })
  async adjust(
    @Idempotent() request: IdempotentRequest,
    @Param({ schema: stockPathSchema }) { sku }: { sku: string },
    @Body({ schema: adjustmentSchema }) adjustment: Adjustment,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return giveAnswer(response, await this.stock.adjust(request, sku, adjustment));
  }

  @Get(':sku')
  @ApiOperation({ summary: 'The stock of one article' })
  @ApiResponse({ status: 200, description: 'the stock', standardSchema: stockViewSchema, headers: ANSWER_HEADERS.etag })
  @ApiProblems({ 404: 'no article has this SKU' })
  async get(
    @Param({ schema: stockPathSchema }) { sku }: { sku: string },
    @Res({ passthrough: true }) response: Response,
  ): Promise<StockView> {
    const stock = await this.stock.get(sku);
    response.set('ETag', etagOf(stock.version));
    return toStockView(stock);
  }

  @Get()
  @ApiOperation({ summary: 'The stock of all articles, page by page' })
  @ApiResponse({ status: 200, description: 'one page', standardSchema: stockPageSchema })
  async list(@Query({ schema: pageQuerySchema }) query: PageQuery): Promise<StockPage> {
    return await this.stock.list(query);
  }

  @Get(':sku/movements')
  @ApiOperation({ summary: 'What came and went of one article, newest first, page by page' })
  @ApiResponse({ status: 200, description: 'one page', standardSchema: movementPageSchema })
  @ApiProblems({ 404: 'no article has this SKU' })
  async listMovements(
    @Param({ schema: stockPathSchema }) { sku }: { sku: string },
    @Query({ schema: pageQuerySchema }) query: PageQuery,
  ): Promise<MovementPage> {
    return await this.stock.listMovements(sku, query);
  }
}
