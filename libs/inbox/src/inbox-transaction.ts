import type pg from 'pg';
import { type DataSource, type EntityManager } from 'typeorm';
import { InboxError } from './inbox.errors.js';
import { PooledClient } from './pooled-client.js';
import { preparedNames } from './prepared-names.js';
import { type Statement } from './query-after.js';
import { type Transaction } from './transaction.js';

/** Explicit, as the database's default may be another level, and later statements must see what earlier ones waited for. */
const BEGIN = 'begin isolation level read committed';

/** A transaction on a connection of a TypeORM data source: what handlers get, and the inbox's own statements. */
export class InboxTransaction implements Transaction {
  private stage: 'before' | 'open' | 'over' = 'before';
  private isManaged = false;

  constructor(private readonly pooled: PooledClient) {}

  /** TypeORM's statements pass the same gate: what a handler sends after its transaction has ended is refused. */
  get manager(): EntityManager {
    const { runner, client } = this.pooled;
    if (!this.isManaged) {
      this.isManaged = true;
      // TypeORM's own startTransaction() takes two round trips; with these its nested transactions are savepoints of ours
      Object.assign(runner, {
        databaseConnection: this.gateTo(client),
        isTransactionActive: true,
        transactionDepth: 1,
      });
    }
    return runner.manager;
  }

  async query<Row = unknown>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const name = parameters.length === 0 ? {} : preparedNames.of(sql);
    const { rows } = await this.run({ ...name, text: sql, values: [...parameters] });
    return rows as Row[];
  }

  /** One statement with its whole result; the first one brings the BEGIN with it. */
  async run<Row extends pg.QueryResultRow>(statement: Statement): Promise<pg.QueryResult<Row>> {
    if (this.stage === 'before') {
      this.stage = 'open';
      return await this.pooled.begin<Row>(BEGIN, statement);
    }
    this.requireOpen();
    return await this.pooled.query<Row>(statement);
  }

  /**
   * Commits. Rejects when what ran in it cannot commit: it would be lost although the handler resolved. A failed
   * transaction answers COMMIT with ROLLBACK, and with no error.
   */
  async commit(): Promise<void> {
    const { status } = this.pooled;
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
    this.end();
    const { command } = await this.pooled.query({ text: 'commit' });
    if (command !== 'COMMIT') {
      throw new InboxError(
        'transaction_failed',
        'A statement that the handler did not await failed, so nothing was committed. Await every statement.',
      );
    }
  }

  /**
   * Before COMMIT or ROLLBACK is sent: a statement behind either, of a handler that was given up and goes on, would be
   * committed on its own.
   */
  end(): void {
    this.stage = 'over';
  }

  private requireOpen(): void {
    if (this.stage !== 'open') {
      throw new InboxError(
        'transaction_finished',
        "The handler's transaction has ended. Await every statement before the handler resolves.",
      );
    }
  }

  /** The client as TypeORM and the outbox see it, until the end. */
  private gateTo(client: pg.PoolClient): pg.PoolClient {
    return new Proxy(client, {
      get: (target, name): unknown => {
        if (name === 'query') {
          this.requireOpen();
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function'
          ? (...args: unknown[]): unknown => Reflect.apply(value, target, args)
          : value;
      },
    });
  }
}

/**
 * Runs `work`, of at least one statement, in one transaction at READ COMMITTED: all of it commits, or, when it rejects,
 * none of it. When the connection breaks or falls silent, rejects with `unavailable`; during the commit nobody knows then
 * whether it was done.
 */
export async function inTransaction<Result>(
  dataSource: DataSource,
  work: (transaction: InboxTransaction) => Promise<Result>,
): Promise<Result> {
  const pooled = await PooledClient.take(dataSource);
  const transaction = new InboxTransaction(pooled);
  try {
    const result = await work(transaction);
    await transaction.commit();
    return result;
  } catch (error) {
    transaction.end();
    await pooled.recover(error);
    throw pooled.translate(error);
  } finally {
    await pooled.giveBack();
  }
}

/** Runs one statement on its own. */
export async function runStatement<Row extends pg.QueryResultRow>(
  dataSource: DataSource,
  statement: Statement,
): Promise<pg.QueryResult<Row>> {
  const pooled = await PooledClient.take(dataSource);
  try {
    return await pooled.query<Row>(statement);
  } catch (error) {
    await pooled.recover(error);
    throw pooled.translate(error);
  } finally {
    await pooled.giveBack();
  }
}
