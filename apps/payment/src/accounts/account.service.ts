import { customerIdSchema, TOTAL_CENTS_MAX } from '@millrace/contracts';
import {
  type Answer,
  type IdempotentAnswer,
  IdempotencyKeys,
  type IdempotentRequest,
  ProblemError,
} from '@millrace/http';
import { Database } from '@millrace/service';
import { Injectable } from '@nestjs/common';
import { type EntityManager, LessThan, MoreThan } from 'typeorm';

import {
  type AccountPage,
  type Deposit,
  type EntryPage,
  type EntryView,
  type OpenAccount,
  type PageQuery,
} from './account-api.js';
import { type Balance, canDeposit, findOpening, lockAccount, moveMoney, openAccount } from './account-ledger.js';
import { AccountEntity, AccountEntryEntity } from './account.entity.js';
import { decodeCursor, encodeCursor } from './page-cursor.js';

@Injectable()
export class AccountService {
  constructor(
    private readonly database: Database,
    private readonly idempotencyKeys: IdempotencyKeys,
  ) {}

  /** Opens the account, or tells the one that was opened with the same money; `conflict` with other money. */
  async open(customerId: string, { balanceCents }: OpenAccount): Promise<Balance> {
    return await this.database.write(async (manager) => {
      const opened = await openAccount(manager, customerId, balanceCents);
      return opened ?? (await openedBefore(manager, customerId, balanceCents));
    });
  }

  async deposit(request: IdempotentRequest, customerId: string, wish: Deposit): Promise<IdempotentAnswer> {
    return await this.database.write(
      async (manager) =>
        await this.idempotencyKeys.answerOnce(
          manager,
          request,
          wish,
          async () => await payIn(manager, customerId, wish.amountCents),
        ),
    );
  }

  async get(customerId: string): Promise<Balance> {
    return await this.database.read(async (manager) => await demandAccount(manager, customerId));
  }

  /** In the order of the customers' ids by code points, which no new account changes: no page repeats or skips. */
  async list({ cursor, limit }: PageQuery): Promise<AccountPage> {
    const where = cursor === undefined ? {} : { customerId: MoreThan(customerOfCursor(cursor)) };
    const accounts = await this.database.read(
      async (manager) => await manager.find(AccountEntity, { where, order: { customerId: 'asc' }, take: limit + 1 }),
    );
    const items = accounts.slice(0, limit).map(({ customerId, balanceCents }) => ({ customerId, balanceCents }));
    const last = items.at(-1);
    const hasMore = accounts.length > limit && last !== undefined;
    return { items, nextCursor: hasMore ? encodeCursor(last.customerId) : null };
  }

  /** Newest first. What is added between two pages is before the first one, so no page repeats or skips. */
  async listEntries(customerId: string, { cursor, limit }: PageQuery): Promise<EntryPage> {
    const before = cursor === undefined ? {} : { entryNumber: LessThan(entryOfCursor(cursor)) };
    const entries = await this.database.read(async (manager) => {
      await demandAccount(manager, customerId);
      const where = { customerId, ...before };
      return await manager.find(AccountEntryEntity, { where, order: { entryNumber: 'desc' }, take: limit + 1 });
    });
    const items = entries.slice(0, limit).map(toEntryView);
    const last = items.at(-1);
    const hasMore = entries.length > limit && last !== undefined;
    return { items, nextCursor: hasMore ? encodeCursor(String(last.entryNumber)) : null };
  }
}

async function openedBefore(manager: EntityManager, customerId: string, balanceCents: number): Promise<Balance> {
  const account = await findOpening(manager, customerId);
  if (account?.openingCents === balanceCents) {
    return account;
  }
  throw new ProblemError(
    'conflict',
    'The customer has an account that was opened with other money. It is opened once; use POST deposits to add money.',
  );
}

async function payIn(manager: EntityManager, customerId: string, amountCents: number): Promise<Answer> {
  const account = await lockAccount(manager, customerId);
  if (account === undefined) {
    throw noAccount();
  }
  if (!canDeposit(account, amountCents)) {
    throw new ProblemError(
      'conflict',
      `All that is ever paid into an account may be at most ${TOTAL_CENTS_MAX} cents; this deposit would exceed it.`,
    );
  }
  const { balanceCents } = await moveMoney(manager, account, { kind: 'deposit', amountCents });
  return { status: 200, headers: {}, body: { customerId, balanceCents } };
}

async function demandAccount(manager: EntityManager, customerId: string): Promise<AccountEntity> {
  const account = await manager.findOneBy(AccountEntity, { customerId });
  if (account === null) {
    throw noAccount();
  }
  return account;
}

function noAccount(): ProblemError {
  return new ProblemError('not-found', 'The customer has no account. PUT it first.');
}

function toEntryView(entry: AccountEntryEntity): EntryView {
  const { entryNumber, kind, amountCents, balanceCents, paymentId, occurredAt } = entry;
  const payment = paymentId === null ? {} : { paymentId };
  return { entryNumber, kind, amountCents, balanceCents, ...payment, occurredAt: occurredAt.toISOString() };
}

function customerOfCursor(cursor: string): string {
  const place = customerIdSchema.safeParse(decodeCursor(cursor));
  if (!place.success) {
    throw madeUpCursor();
  }
  return place.data;
}

function entryOfCursor(cursor: string): number {
  const place = decodeCursor(cursor) ?? '';
  if (!/^[1-9]\d{0,14}$/.test(place)) {
    throw madeUpCursor();
  }
  return Number(place);
}

function madeUpCursor(): ProblemError {
  return new ProblemError('invalid-request', 'The cursor is not one of this list.', {
    errors: [{ path: 'cursor', message: 'cursor must be the nextCursor of an earlier page' }],
  });
}
