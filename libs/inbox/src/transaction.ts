import { type EntityManager } from 'typeorm';

/**
 * The transaction in which an event is claimed, handled and answered. All of it commits or none of it. At READ COMMITTED,
 * with the lock and statement timeouts of the connection.
 */
export interface Transaction {
  /** TypeORM in this transaction; `outbox.publish(tx, ...)` adds outgoing events to it. */
  readonly manager: EntityManager;
  /** One statement with positional parameters; resolves with its rows. */
  query<Row = unknown>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
}
