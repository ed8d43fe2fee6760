import { type TransactionalAdapter, TransactionHost } from '@nestjs-cls/transactional';
import { type ClsService, ClsServiceManager } from 'nestjs-cls';
import { type CurrentTransaction } from './current-transaction.js';
import { EventQueue } from './event-queue.js';
import { OutboxError } from './outbox.errors.js';
import { type Transaction } from './transaction.js';

/** One `@Transactional` scope: a transaction, or a savepoint in it. */
interface Scope {
  readonly transaction: Transaction;
  readonly queue: EventQueue;
  /** How many transactions and savepoints TypeORM had open when the scope began; null where it cannot be read. */
  readonly depth: number | null;
  readonly outer: Scope | undefined;
}

type Run = () => Promise<unknown>;
type AnyAdapter = TransactionalAdapter<unknown, Transaction, unknown>;

const SCOPE = Symbol('millrace.outbox.scope');

/**
 * Lets the outbox take part in the transactions of a transactional adapter, for example
 * `new ClsPluginTransactional({ adapter: withOutbox(new TransactionalAdapterTypeOrm({ dataSourceToken })) })`.
 * Queued events are written as the last statement before COMMIT. Events of a nested transaction that rolled back to its
 * savepoint are dropped. Changes the given adapter and returns it.
 */
export function withOutbox<Connection, Tx extends Transaction, Options>(
  adapter: TransactionalAdapter<Connection, Tx, Options>,
): TransactionalAdapter<Connection, Tx, Options> {
  const original = adapter.optionsFactory.bind(adapter);
  adapter.optionsFactory = (connection, extraProviders) => {
    const options = original(connection, extraProviders);
    const { wrapWithTransaction, wrapWithNestedTransaction } = options;
    const wrapped: typeof options = {
      ...options,
      wrapWithTransaction: (txOptions, run, setTx) => {
        const scope = new ScopeRunner<Tx>(run);
        return wrapWithTransaction(txOptions, () => scope.runTransaction(), scope.watch(setTx));
      },
    };
    if (wrapWithNestedTransaction !== undefined) {
      wrapped.wrapWithNestedTransaction = (txOptions, run, setTx, outerTx) => {
        const scope = new ScopeRunner<Tx>(run);
        return wrapWithNestedTransaction(txOptions, () => scope.runSavepoint(), scope.watch(setTx), outerTx);
      };
    }
    return wrapped;
  };
  return adapter;
}

/** The ambient transaction of `@nestjs-cls/transactional`, of the default or of a named connection. */
export class ClsCurrentTransaction implements CurrentTransaction {
  constructor(private readonly connectionName?: string) {}

  current(): EventQueue | null {
    const host = this.host();
    if (!host.isTransactionActive()) {
      return null;
    }
    const scope = scopeOf(host.tx, currentScope());
    if (scope !== null) {
      refuseUnseenSavepoint(scope);
      return scope.queue;
    }
    throw new OutboxError(
      'ambient_not_configured',
      'The transactional adapter does not know the outbox, so queued events would never be written. ' +
        'Wrap it: new ClsPluginTransactional({ adapter: withOutbox(...) }).',
    );
  }

  private host(): TransactionHost<AnyAdapter> {
    try {
      return TransactionHost.getInstance<AnyAdapter>(this.connectionName);
    } catch (cause) {
      throw new OutboxError(
        'ambient_not_configured',
        `No ClsPluginTransactional is registered${this.connectionName === undefined ? '' : ' under this connection name'}. ` +
          'Register it: ClsModule.forRoot({ plugins: [new ClsPluginTransactional({ adapter: withOutbox(...) })] }).',
        { cause },
      );
    }
  }
}

/** Runs one scope's code and brings its events to where its end sends them. */
class ScopeRunner<Tx extends Transaction> {
  private transaction: Tx | undefined;

  constructor(private readonly run: Run) {}

  watch(setTx: (transaction?: Tx) => void): (transaction?: Tx) => void {
    return (transaction) => {
      this.transaction = transaction;
      setTx(transaction);
    };
  }

  async runTransaction(): Promise<unknown> {
    return await this.collect(async (scope) => {
      await scope.queue.flush(scope.transaction);
    });
  }

  async runSavepoint(): Promise<unknown> {
    return await this.collect(async (scope) => {
      const outer = scopeOf(scope.transaction, scope.outer);
      if (outer === null) {
        throw new OutboxError('nested_transaction', 'A nested transaction began outside of any ambient transaction.');
      }
      await scope.queue.mergeInto(outer.queue);
    });
  }

  private async collect(end: (scope: Scope) => Promise<void>): Promise<unknown> {
    const scope = this.open();
    try {
      const result = await this.run();
      await end(scope);
      return result;
    } catch (error) {
      scope.queue.discard();
      throw error;
    }
  }

  /** The CLS context is this scope's own: the plugin opens one per transaction. */
  private open(): Scope {
    if (this.transaction === undefined) {
      throw new OutboxError('no_transaction', 'The transactional adapter ran its code without a transaction.');
    }
    const scope: Scope = {
      transaction: this.transaction,
      queue: new EventQueue(),
      depth: depthOf(this.transaction),
      outer: currentScope(),
    };
    cls().set(SCOPE, scope);
    return scope;
  }
}

function cls(): ClsService<{ [SCOPE]?: Scope }> {
  return ClsServiceManager.getClsService<{ [SCOPE]?: Scope }>();
}

function currentScope(): Scope | undefined {
  return cls().isActive() ? cls().get(SCOPE) : undefined;
}

/** The innermost scope of a transaction; others may lie between where a service uses two databases. */
function scopeOf(transaction: Transaction, innermost: Scope | undefined): Scope | null {
  for (let scope = innermost; scope !== undefined; scope = scope.outer) {
    if (scope.transaction === transaction) {
      return scope;
    }
  }
  return null;
}

/** An event queued inside of a savepoint that the plugin does not know would survive its rollback. */
function refuseUnseenSavepoint(scope: Scope): void {
  if (scope.queue.isOpen && depthOf(scope.transaction) !== scope.depth) {
    throw new OutboxError(
      'nested_transaction',
      'publish(contract, payload) was called inside of manager.transaction() within an ambient transaction: its ' +
        'rollback would not be seen. Use @Transactional(Propagation.Nested), or pass the manager as first argument.',
    );
  }
}

/** TypeORM's own count of open levels (not in its types); null for a transaction of another kind. */
function depthOf(transaction: Transaction): number | null {
  const runner: unknown = 'queryRunner' in transaction ? transaction.queryRunner : transaction;
  const depth: unknown = typeof runner === 'object' && runner !== null ? Reflect.get(runner, 'transactionDepth') : null;
  return typeof depth === 'number' ? depth : null;
}
