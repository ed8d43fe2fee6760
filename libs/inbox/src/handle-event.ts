import { type EventContract } from '@millrace/events';
import { InboxError } from './inbox.errors.js';
import { type ReceivedEvent } from './received-event.js';
import { type Transaction } from './transaction.js';

/** What applies an event of a contract. May leave `tx` out, may not take more, must return a promise. */
export type EventHandler<Contract extends EventContract> = (
  event: ReceivedEvent<Contract>,
  tx: Transaction,
) => Promise<void>;

/** The reflect-metadata key of a handler method; its value is the contract. */
export const HANDLED_CONTRACT = Symbol.for('millrace.inbox.handled-contract');

/**
 * Marks the method of a Nest provider or controller as the handler of an event type. The compiler demands its signature:
 * `async reserve(event: ReceivedEvent<typeof OrderPlaced>, tx: Transaction): Promise<void>`.
 *
 * Delivery: called once per event whose effects commit; a call whose transaction rolls back is repeated. Do everything
 * through `tx`: what the method does elsewhere (HTTP, another connection) happens again with each repetition.
 * Order: one event of a key at a time, in the order of the topic. Failure: what it throws decides, see `Park` and `Retry`.
 * A type may have one handler per consumer; a second one is an error at boot.
 */
export function HandleEvent<Contract extends EventContract>(contract: Contract) {
  return <Method extends EventHandler<Contract>>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    if (typeof target === 'function') {
      throw new InboxError(
        'configuration_invalid',
        `@HandleEvent is on the static method ${target.name}.${String(name)}, of which Nest knows nothing. Take out "static".`,
      );
    }
    if (descriptor.value !== undefined) {
      Reflect.defineMetadata(HANDLED_CONTRACT, contract, descriptor.value);
    }
  };
}
