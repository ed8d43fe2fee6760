import { type EventQueue } from './event-queue.js';

/**
 * The port of the ambient form: tells in which transaction the calling code runs. An adapter opens one `EventQueue` per
 * transaction, calls its `flush` as the last statement before COMMIT and `discard` after a rollback.
 * `@millrace/outbox/cls` has the one for `@nestjs-cls/transactional`.
 */
export interface CurrentTransaction {
  /**
   * The queue of the innermost transaction or savepoint, or null outside of one. Throws `OutboxError` where the code
   * runs in a scope that the adapter cannot see the end of.
   */
  current(): EventQueue | null;
}
