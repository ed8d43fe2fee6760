import {
  ANSWER_HEADERS,
  ApiIdempotencyKey,
  ApiProblems,
  etagOf,
  giveAnswer,
  Idempotent,
  type IdempotentRequest,
} from '@millrace/http';
import { Body, Controller, Get, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';

import {
  type AccountPage,
  accountPageSchema,
  type AccountPath,
  accountPathSchema,
  type AccountView,
  accountViewSchema,
  type Deposit,
  depositSchema,
  type EntryPage,
  entryPageSchema,
  type OpenAccount,
  openAccountSchema,
  type PageQuery,
  pageQuerySchema,
} from './account-api.js';
import { type Balance } from './account-ledger.js';
import { AccountService } from './account.service.js';

@ApiTags('accounts')
@ApiProblems({ 400: 'the request is not valid', 503: 'the database does not answer now' })
@Controller('accounts')
export class AccountController {
  constructor(private readonly accounts: AccountService) {}

  @Put(':customerId')
  @ApiOperation({
    summary: "Open a customer's account",
    description:
      'The balance it is opened with is its first deposit. Repeated with the same balanceCents it answers 200 with what ' +
      'the account holds by then; with another it is refused.',
  })
  @ApiResponse({
    status: 200,
    description: 'it is open',
    standardSchema: accountViewSchema,
    headers: ANSWER_HEADERS.etag,
  })
  @ApiProblems({
    409: 'it was opened with other money',
    413: 'the body is larger than 64 KiB',
    415: 'the body is not JSON',
  })
  async open(
    @Param({ schema: accountPathSchema }) { customerId }: AccountPath,
    @Body({ schema: openAccountSchema }) wish: OpenAccount,
    @Res({ passthrough: true }) response: Response,
  ): Promise<AccountView> {
    return tell(await this.accounts.open(customerId, wish), response);
  }

  @Post(':customerId/deposits')
  @HttpCode(200)
  @ApiOperation({ summary: 'Pay money in' })
  @ApiIdempotencyKey()
  @ApiResponse({
    status: 200,
    description: 'the money is there',
    standardSchema: accountViewSchema,
    headers: ANSWER_HEADERS.replayed,
  })
  @ApiProblems({
    404: 'the customer has no account',
    409: 'the account cannot take so much, or the first request with this key is still running',
    413: 'the body is larger than 64 KiB',
    415: 'the body is not JSON',
    422: 'the key was used for another body or customer',
  })
  async deposit(
    @Idempotent() request: IdempotentRequest,
    @Param({ schema: accountPathSchema }) { customerId }: AccountPath,
    @Body({ schema: depositSchema }) wish: Deposit,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return giveAnswer(response, await this.accounts.deposit(request, customerId, wish));
  }

  @Get(':customerId')
  @ApiOperation({ summary: 'What a customer has' })
  @ApiResponse({
    status: 200,
    description: 'the account',
    standardSchema: accountViewSchema,
    headers: ANSWER_HEADERS.etag,
  })
  @ApiProblems({ 404: 'the customer has no account' })
  async get(
    @Param({ schema: accountPathSchema }) { customerId }: AccountPath,
    @Res({ passthrough: true }) response: Response,
  ): Promise<AccountView> {
    return tell(await this.accounts.get(customerId), response);
  }

  @Get()
  @ApiOperation({ summary: 'Accounts by customer, page by page' })
  @ApiResponse({ status: 200, description: 'one page', standardSchema: accountPageSchema })
  async list(@Query({ schema: pageQuerySchema }) query: PageQuery): Promise<AccountPage> {
    return await this.accounts.list(query);
  }

  @Get(':customerId/entries')
  @ApiOperation({ summary: 'Every change of a balance, newest first, page by page' })
  @ApiResponse({ status: 200, description: 'one page', standardSchema: entryPageSchema })
  @ApiProblems({ 404: 'the customer has no account' })
  async listEntries(
    @Param({ schema: accountPathSchema }) { customerId }: AccountPath,
    @Query({ schema: pageQuerySchema }) query: PageQuery,
  ): Promise<EntryPage> {
    return await this.accounts.listEntries(customerId, query);
  }
}

function tell({ customerId, balanceCents, version }: Balance, response: Response): AccountView {
  response.set('ETag', etagOf(version));
  return { customerId, balanceCents };
}
