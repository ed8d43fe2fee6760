import pg from 'pg';
import { type DataSource, QueryFailedError, type QueryRunner } from 'typeorm';
import { InboxError } from './inbox.errors.js';
import { queryAfter, type Statement } from './query-after.js';

/** The most that a statement may take by the limits that `requireInboxDatabase` demands. */
const STATEMENT_MAX_MS = 60_000;
const ANSWER_MARGIN_MS = 2_000;
const statementLimits = new WeakMap<DataSource, number>();

/** Tells how long a statement may run: what is not answered a little later never is. */
export function rememberStatementLimit(dataSource: DataSource, limitMs: number): void {
  statementLimits.set(dataSource, limitMs);
}

/** A connection that does not even roll back is given up. */
const ROLLBACK = { text: 'rollback', query_timeout: 1_000 };

/** One connection of a data source's pool, for one transaction or statement, and how it fares. */
export class PooledClient {
  private loss: unknown = null;
  /** What a statement rejected with, when it was not the server that refused it. */
  private silence: unknown = null;
  private isToBeReplaced = false;
  /** A BEGIN was sent. The driver's own word is of the last answer but one while an error is told. */
  private hasBegun = false;

  private constructor(
    readonly runner: QueryRunner,
    readonly client: pg.PoolClient,
    private readonly timeout: { readonly query_timeout?: number },
  ) {
    client.on('error', this.onError);
  }

  /** Rejects with `unavailable` when none can be had. */
  static async take(dataSource: DataSource): Promise<PooledClient> {
    const runner = dataSource.createQueryRunner();
    try {
      const client: unknown = await runner.connect();
      return new PooledClient(runner, client as pg.PoolClient, timeoutOf(dataSource));
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  /** `I` outside of a transaction, `T` in one, `E` in a failed one, as the last answer said. */
  get status(): string | null {
    return this.client.getTransactionStatus();
  }

  async query<Row extends pg.QueryResultRow>(statement: Statement): Promise<pg.QueryResult<Row>> {
    return await this.watched(this.client.query<Row>({ ...statement, ...this.timeout }));
  }

  /** The first statement of a transaction, behind its BEGIN and in one message with it. */
  async begin<Row extends pg.QueryResultRow>(begin: string, statement: Statement): Promise<pg.QueryResult<Row>> {
    this.hasBegun = true;
    return await this.watched(queryAfter<Row>(this.client, begin, { ...statement, ...this.timeout }));
  }

  /** Passes a statement's outcome on, and remembers when it was not the server that refused it. */
  async watched<Result>(answer: Promise<Result>): Promise<Result> {
    try {
      return await answer;
    } catch (error) {
      if (!isOfServer(error)) {
        this.silence ??= error;
      }
      throw error;
    }
  }

  /**
   * Ends whatever transaction is open, and finds out whether the connection still answers: one that fell silent would
   * fail whoever the pool gives it to next.
   */
  async recover(error: unknown): Promise<void> {
    if (error instanceof QueryFailedError && !isOfServer(error)) {
      this.silence ??= error;
    }
    if (this.loss !== null || (!this.hasBegun && isOfServer(error))) {
      return;
    }
    try {
      await this.client.query(ROLLBACK);
      this.silence = null;
    } catch {
      // the server ends the transaction with the connection
      this.isToBeReplaced = true;
    }
    this.isToBeReplaced ||= isPlanOutdated(error);
  }

  /** The error to tell of what failed: `unavailable` when the connection broke or fell silent. */
  translate(error: unknown): unknown {
    if (isOfCode(this.loss, IDLE_IN_TRANSACTION)) {
      const message = 'The handler left its transaction idle for longer than idle_in_transaction_session_timeout.';
      return new InboxError('handler_timeout', message, { cause: this.loss });
    }
    return this.loss === null && this.silence === null ? error : unavailable(error);
  }

  /** To the pool, which drops a client that is ending. */
  async giveBack(): Promise<void> {
    this.client.removeListener('error', this.onError);
    // in one turn with the release, after which TypeORM refuses statements by itself
    Object.assign(this.runner, { databaseConnection: this.client, isTransactionActive: false, transactionDepth: 0 });
    if (this.isToBeReplaced) {
      void this.client.end();
    }
    await this.runner.release();
  }

  private readonly onError = (error: unknown): void => {
    this.loss ??= error;
  };
}

/** The server ended it for being idle: the handler's doing, and no outage. */
const IDLE_IN_TRANSACTION = '25P03';
const FEATURE_NOT_SUPPORTED = '0A000';

/** "cached plan must not change result type": a table was altered, and this connection would fail again and again. */
function isPlanOutdated(error: unknown): boolean {
  return isOfCode(driverErrorOf(error), FEATURE_NOT_SUPPORTED);
}

function isOfServer(error: unknown): boolean {
  return driverErrorOf(error) instanceof pg.DatabaseError;
}

function driverErrorOf(error: unknown): unknown {
  return error instanceof QueryFailedError ? error.driverError : error;
}

function isOfCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** A data source with a `query_timeout` of its own keeps it. */
function timeoutOf(dataSource: DataSource): { readonly query_timeout?: number } {
  const extra: unknown = dataSource.options.extra;
  const own: unknown = typeof extra === 'object' && extra !== null ? Reflect.get(extra, 'query_timeout') : undefined;
  if (typeof own === 'number' && own > 0) {
    return {};
  }
  return { query_timeout: (statementLimits.get(dataSource) ?? STATEMENT_MAX_MS) + ANSWER_MARGIN_MS };
}

function unavailable(cause: unknown): InboxError {
  return new InboxError('unavailable', 'The database gave no connection, or broke it.', { cause });
}
