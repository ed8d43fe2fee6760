import { OutboxError } from './outbox.errors.js';

/** The sentence of `transaction_failed`. */
export const TRANSACTION_FAILED =
  'An earlier statement of this transaction failed, so it cannot commit. Roll it back and start anew.';

/** What Millrace needs of a `pg` client (a `Client` or a `PoolClient`; a `Pool` does not fit). */
export interface PgClient {
  query(statement: { readonly text: string; readonly values: unknown[] }): Promise<{ readonly rows: unknown[] }>;
  /** `I` outside of a transaction, `T` in one, `E` in a failed one; null before the connection stands. */
  getTransactionStatus(): 'I' | 'T' | 'E' | null;
}

/** What Millrace needs of a TypeORM QueryRunner. */
export interface TypeOrmQueryRunner {
  readonly isReleased: boolean;
  readonly isTransactionActive: boolean;
  /** The underlying `pg` client. */
  connect(): Promise<unknown>;
}

/** What Millrace needs of a TypeORM EntityManager: the one that `transaction()` hands to its callback. */
export interface TypeOrmManager {
  readonly queryRunner?: TypeOrmQueryRunner;
  getRepository(...target: never[]): unknown;
  /** A DataSource has it, and is no transaction. */
  readonly createQueryRunner?: never;
}

/** What carries such a manager: the transaction that a handler of `@millrace/inbox` is given. */
export interface ManagerCarrier {
  readonly manager: TypeOrmManager;
  /** A DataSource has it, and is no transaction. */
  readonly createQueryRunner?: never;
}

/** The caller's open transaction. */
export type Transaction = PgClient | TypeOrmQueryRunner | TypeOrmManager | ManagerCarrier;

/**
 * The `pg` client of an open transaction. Throws `OutboxError`: `no_transaction`, `transaction_finished`,
 * `transaction_failed`, `client_unsupported`. Costs no round trip: the server tells the state with every answer.
 */
export async function clientOf(transaction: Transaction): Promise<PgClient> {
  const runner = runnerOf(transaction);
  if (runner === null) {
    return inTransaction(transaction);
  }
  if (runner.isReleased) {
    throw new OutboxError(
      'transaction_finished',
      'The transaction of this EntityManager or QueryRunner has ended. Await publish() inside of the transaction.',
    );
  }
  if (!runner.isTransactionActive) {
    throw new OutboxError(
      'no_transaction',
      'This QueryRunner has no open transaction. Call startTransaction() before publish().',
    );
  }
  return inTransaction(await runner.connect());
}

/** Throws when the insert was not part of a transaction: the caller ended it while `publish` was on its way. */
export function refuseAutocommit(client: PgClient): void {
  if (client.getTransactionStatus() === 'I') {
    throw new OutboxError(
      'autocommitted',
      'The transaction ended before publish() reached the database, so its events were committed on their own. ' +
        'Await publish() before COMMIT.',
    );
  }
}

function runnerOf(transaction: unknown): TypeOrmQueryRunner | null {
  if (isQueryRunner(transaction)) {
    return transaction;
  }
  if (hasProperty(transaction, 'manager') && !isPgClient(transaction)) {
    return runnerOf(transaction.manager);
  }
  if (!hasProperty(transaction, 'getRepository')) {
    return null;
  }
  if ('queryRunner' in transaction && isQueryRunner(transaction.queryRunner)) {
    return transaction.queryRunner;
  }
  throw new OutboxError(
    'no_transaction',
    'This is a DataSource or its own EntityManager, which commits each statement. ' +
      'Publish with the manager that dataSource.transaction() hands to its callback.',
  );
}

function inTransaction(client: unknown): PgClient {
  if (!isPgClient(client)) {
    throw refuseHandle(client);
  }
  switch (client.getTransactionStatus()) {
    case 'T':
      return client;
    case 'E':
      throw new OutboxError('transaction_failed', TRANSACTION_FAILED);
    case 'I':
    case null:
      throw new OutboxError(
        'no_transaction',
        'This client has no open transaction, or it has ended: the event would be committed on its own. ' +
          'Publish between BEGIN and COMMIT, and await both.',
      );
  }
}

function refuseHandle(client: unknown): OutboxError {
  if (hasProperty(client, 'totalCount')) {
    return new OutboxError(
      'no_transaction',
      'This is a pg Pool, which gives every query another connection. ' +
        'Take a client with pool.connect(), BEGIN on it and publish with it.',
    );
  }
  if (hasProperty(client, 'query')) {
    return new OutboxError(
      'client_unsupported',
      'This client cannot tell whether it is in a transaction. Upgrade pg to a version that has client.getTransactionStatus().',
    );
  }
  return new OutboxError(
    'no_transaction',
    'publish() needs an open transaction: a TypeORM EntityManager or QueryRunner in a transaction, or a pg client.',
  );
}

function isQueryRunner(value: unknown): value is TypeOrmQueryRunner {
  return hasProperty(value, 'isTransactionActive') && 'connect' in value && 'isReleased' in value;
}

function isPgClient(value: unknown): value is PgClient {
  return hasProperty(value, 'query') && 'getTransactionStatus' in value;
}

function hasProperty<Name extends string>(value: unknown, name: Name): value is Record<Name, unknown> {
  return typeof value === 'object' && value !== null && name in value;
}
