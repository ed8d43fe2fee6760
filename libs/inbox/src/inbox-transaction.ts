import type pg from 'pg';
import { type DataSource, type EntityManager, QueryFailedError, type QueryRunner } from 'typeorm';
import { InboxError } from './inbox.errors.js';
import { preparedNames } from './prepared-names.js';
import { queryAfter, type Statement } from './query-after.js';
import { type Transaction } from './transaction.js';

/** Explicit, as the database's default may be another level, and later statements must see what earlier ones waited for. */
const BEGIN = 'begin isolation level read committed';
/** With a limit of its own: a connection that fell silent is given up. */
const ROLLBACK = { text: 'rollback', query_timeout: 2_000 };

/** A transaction on a connection of a TypeORM data source: what handlers get, and the inbox's own statements. */
export class InboxTransaction implements Transaction {
  private stage: 'before' | 'open' | 'over' = 'before';

  constructor(
    private readonly client: pg.PoolClient,
    private readonly runner: QueryRunner,
  ) {}

  get manager(): EntityManager {
    return this.runner.manager;
  }

  async query<Row = unknown>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const name = parameters.length === 0 ? {} : preparedNames.of(sql);
    const { rows } = await this.run({ ...name, text: sql, values: [...parameters] });
    return rows as Row[];
  }

  /** One statement with its whole result; the first one brings the BEGIN with it. */
  async run<Row extends pg.QueryResultRow>(statement: Statement): Promise<pg.QueryResult<Row>> {
    switch (this.stage) {
      case 'before':
        return await this.begin<Row>(statement);
      case 'open':
        return await this.client.query<Row>(statement);
      case 'over':
        throw new InboxError(
          'transaction_finished',
          "The handler's transaction has ended. Await every statement before the handler resolves.",
        );
    }
  }

  /** Throws when what ran in it cannot commit: it would be lost although the handler resolved. */
  requireSound(): void {
    const status = this.client.getTransactionStatus();
    if (status === 'E') {
      throw new InboxError(
        'transaction_failed',
        'A statement of the handler failed and the handler went on, so nothing of it can commit. Let it reject.',
      );
    }
    if (status !== 'T') {
      throw new InboxError(
        'transaction_finished',
        "The handler ended the transaction, which is the inbox's. Take out its COMMIT or ROLLBACK.",
      );
    }
  }

  /** No statement reaches the connection any more: it goes back to the pool. */
  end(): void {
    this.stage = 'over';
    Object.assign(this.runner, { isTransactionActive: false, transactionDepth: 0 });
  }

  private async begin<Row extends pg.QueryResultRow>(first: Statement): Promise<pg.QueryResult<Row>> {
    this.stage = 'open';
    const result = await queryAfter<Row>(this.client, BEGIN, first);
    // TypeORM's own startTransaction() takes two round trips; with these its nested transactions are savepoints of ours
    Object.assign(this.runner, { isTransactionActive: true, transactionDepth: 1 });
    return result;
  }
}

/**
 * Runs `work`, of at least one statement, in one transaction at READ COMMITTED: all of it commits, or, when it rejects,
 * none of it. When the connection breaks, rejects with `unavailable`; during the commit nobody knows then whether it was
 * done.
 */
export async function inTransaction<Result>(
  dataSource: DataSource,
  work: (transaction: InboxTransaction) => Promise<Result>,
): Promise<Result> {
  const runner = dataSource.createQueryRunner();
  const client = await connect(runner);
  const watch = watchFor(client);
  const transaction = new InboxTransaction(client, runner);
  try {
    const result = await work(transaction);
    transaction.requireSound();
    await commit(client);
    return result;
  } catch (error) {
    await rollBack(client, watch, isPlanOutdated(error));
    throw watch.translate(error);
  } finally {
    transaction.end();
    watch.end();
    await runner.release();
  }
}

/** Runs one statement on its own. */
export async function runStatement<Row extends pg.QueryResultRow>(
  dataSource: DataSource,
  statement: Statement,
): Promise<pg.QueryResult<Row>> {
  const runner = dataSource.createQueryRunner();
  const client = await connect(runner);
  const watch = watchFor(client);
  try {
    return await client.query<Row>(statement);
  } catch (error) {
    throw watch.translate(error);
  } finally {
    watch.end();
    await runner.release();
  }
}

async function connect(runner: QueryRunner): Promise<pg.PoolClient> {
  try {
    const client: unknown = await runner.connect();
    return client as pg.PoolClient;
  } catch (cause) {
    throw unavailable(cause);
  }
}

/** A failed transaction answers COMMIT with ROLLBACK, and with no error. */
async function commit(client: pg.PoolClient): Promise<void> {
  const { command } = await client.query('commit');
  if (command !== 'COMMIT') {
    throw new InboxError(
      'transaction_failed',
      'A statement that the handler did not await failed, so nothing was committed. Await every statement.',
    );
  }
}

async function rollBack(client: pg.PoolClient, watch: ConnectionWatch, isToBeReplaced: boolean): Promise<void> {
  if (watch.isLost()) {
    return;
  }
  try {
    if (client.getTransactionStatus() !== 'I') {
      await client.query(ROLLBACK);
    }
  } catch {
    // the server ends the transaction with the connection
    isToBeReplaced = true;
  }
  if (isToBeReplaced) {
    // the pool drops a client that is ending
    void client.end();
  }
}

/** "cached plan must not change result type": a table was altered, and this connection would fail again and again. */
function isPlanOutdated(error: unknown): boolean {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  return cause instanceof Error && 'code' in cause && cause.code === '0A000';
}

interface ConnectionWatch {
  isLost(): boolean;
  /** The error to tell of a statement or handler that failed. */
  translate(error: unknown): unknown;
  end(): void;
}

function watchFor(client: pg.PoolClient): ConnectionWatch {
  let loss: unknown = null;
  const onError = (error: unknown): void => {
    loss ??= error;
  };
  client.on('error', onError);
  return {
    isLost: () => loss !== null,
    translate: (error) => (loss === null ? error : lossOf(loss, error)),
    end: () => client.removeListener('error', onError),
  };
}

/** The server ended it for being idle: the handler's doing, and no outage. */
const IDLE_IN_TRANSACTION = '25P03';

function lossOf(loss: unknown, error: unknown): InboxError {
  if (loss instanceof Error && 'code' in loss && loss.code === IDLE_IN_TRANSACTION) {
    return new InboxError(
      'handler_timeout',
      'The handler left its transaction idle for longer than idle_in_transaction_session_timeout.',
      { cause: loss },
    );
  }
  return unavailable(error);
}

function unavailable(cause: unknown): InboxError {
  return new InboxError('unavailable', 'The database gave no connection, or broke it.', { cause });
}
