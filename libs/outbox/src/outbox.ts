import { type EventContract, type EventId, isEventContract } from '@millrace/events';
import { type CurrentTransaction } from './current-transaction.js';
import { type EventRow, prepareRows, type PublishOptions } from './event-row.js';
import { OutboxError } from './outbox.errors.js';
import { type PublishedEvent, writeRows } from './outbox-writer.js';
import { type Transaction } from './transaction.js';

/** What an `Outbox` is made of. */
export interface OutboxConfig {
  /** The contracts that this service publishes. */
  readonly events: readonly EventContract[];
  /** The ambient form's adapter; without it `publish` needs the transaction as its first argument. */
  readonly currentTransaction?: CurrentTransaction;
  /**
   * The most bytes of key, payload (as PostgreSQL prints it) and headers (name, value and ten bytes each) together.
   * Default 921,600: a record of at most 1 MiB, Kafka's default limit, then holds it with Millrace's own headers.
   */
  readonly maxEventBytes?: number;
}

/** An event of the ambient form: its position is drawn when the transaction commits, so only the id is known. */
export interface QueuedEvent {
  readonly id: EventId;
}

const MAX_EVENT_BYTES = 900 * 1_024;

/**
 * The way into the outbox. An event leaves the service if and only if the transaction commits; events of one aggregate
 * leave in commit order.
 */
export class Outbox {
  readonly #contracts: ReadonlyMap<string, EventContract>;
  readonly #currentTransaction: CurrentTransaction | null;
  readonly #maxEventBytes: number;

  /** Throws `OutboxError` `configuration_invalid` for two contracts of one type or an impossible limit. */
  constructor(config: OutboxConfig) {
    this.#contracts = contractsByType(config.events);
    this.#currentTransaction = config.currentTransaction ?? null;
    this.#maxEventBytes = config.maxEventBytes ?? MAX_EVENT_BYTES;
    if (!Number.isInteger(this.#maxEventBytes) || this.#maxEventBytes < 1) {
      throw new OutboxError('configuration_invalid', 'maxEventBytes must be a whole number of bytes from 1 on.');
    }
  }

  /**
   * Explicit form: writes the events now, in the given transaction, with one statement (per 1,000 payloads), and
   * returns ids and positions in the order of the payloads.
   *
   * Order: call it after the statement that locks or changes the aggregate's row. Without an `aggregateVersion` it also
   * holds an advisory lock on the key until the transaction ends (`serialize`), which orders insert-only aggregates
   * too; publish events of several keys in one call, or two transactions may deadlock (PostgreSQL ends one of them).
   * Failure: throws `OutboxError`, or the database's error; the transaction must be rolled back.
   */
  publish<Payload>(
    transaction: Transaction,
    contract: EventContract<Payload>,
    payload: NoInfer<Payload> | readonly NoInfer<Payload>[],
    options?: PublishOptions,
  ): Promise<readonly PublishedEvent[]>;
  /**
   * Ambient form: queues the events in the transaction that the calling code runs in. All of them are written by one
   * statement, the last before COMMIT, in the order of the calls. Returns ids only: positions do not exist yet.
   *
   * Failure: throws `OutboxError`; the transaction then fails at its end even if the error was caught.
   */
  publish<Payload>(
    contract: EventContract<Payload>,
    payload: NoInfer<Payload> | readonly NoInfer<Payload>[],
    options?: PublishOptions,
  ): Promise<readonly QueuedEvent[]>;
  publish(
    first: Transaction | EventContract,
    second: unknown,
    third?: unknown,
    fourth?: PublishOptions,
  ): Promise<readonly QueuedEvent[]> {
    if (isEventContract(first)) {
      return this.#queue(this.#prepare(first, second, toOptions(third)));
    }
    return this.#write(first, this.#prepare(second, third, fourth ?? {}));
  }

  async #prepare(contract: unknown, payload: unknown, options: PublishOptions): Promise<readonly EventRow[]> {
    const payloads: readonly unknown[] = Array.isArray(payload) ? payload : [payload];
    return await prepareRows(this.#registered(contract), payloads, options, this.#maxEventBytes);
  }

  async #write(transaction: Transaction, rows: Promise<readonly EventRow[]>): Promise<readonly PublishedEvent[]> {
    return await writeRows(transaction, await rows);
  }

  #queue(rows: Promise<readonly EventRow[]>): Promise<readonly QueuedEvent[]> {
    const queued = this.#enqueue(rows);
    // whoever does not await it still hears of the failure: the queue's flush throws it
    queued.catch(() => undefined);
    return queued;
  }

  async #enqueue(rows: Promise<readonly EventRow[]>): Promise<readonly QueuedEvent[]> {
    rows.catch(() => undefined);
    this.#ambientQueue().add(rows);
    return (await rows).map(({ id }) => ({ id }));
  }

  #ambientQueue(): { add(rows: Promise<readonly EventRow[]>): void } {
    if (this.#currentTransaction === null) {
      throw new OutboxError(
        'ambient_not_configured',
        'publish(contract, payload) needs OutboxModule.forRoot({ currentTransaction }). ' +
          'Configure it, or pass the transaction: publish(transaction, contract, payload).',
      );
    }
    const queue = this.#currentTransaction.current();
    if (queue === null) {
      throw new OutboxError(
        'no_transaction',
        'publish(contract, payload) was called outside of a transaction. ' +
          'Mark the method with @Transactional(), or pass a transaction as the first argument.',
      );
    }
    return queue;
  }

  #registered(contract: unknown): EventContract {
    if (!isEventContract(contract)) {
      throw new OutboxError('unknown_event', 'publish() needs a contract made by defineEvent().');
    }
    if (this.#contracts.get(contract.type) !== contract) {
      throw new OutboxError(
        'unknown_event',
        `Event ${contract.type} (schema version ${contract.schemaVersion}) is not registered. ` +
          'Add its contract to OutboxModule.forRoot({ events: [...] }).',
      );
    }
    return contract;
  }
}

function contractsByType(events: readonly EventContract[]): ReadonlyMap<string, EventContract> {
  const contracts = new Map<string, EventContract>();
  for (const contract of events) {
    if (contracts.has(contract.type)) {
      throw new OutboxError('configuration_invalid', `Event ${contract.type} is registered twice: keep one contract.`);
    }
    contracts.set(contract.type, contract);
  }
  return contracts;
}

/** The compiler holds the type; a caller without one gets the defaults for what is no object. */
function toOptions(value: unknown): PublishOptions {
  return typeof value === 'object' && value !== null ? value : {};
}
