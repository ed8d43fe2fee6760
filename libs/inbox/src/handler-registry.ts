import { type EventContract, isEventContract } from '@millrace/events';
import { DiscoveryService, MetadataScanner, type ModulesContainer } from '@nestjs/core';
import { HANDLED_CONTRACT } from './handle-event.js';
import { InboxError } from './inbox.errors.js';
import { type ReceivedEvent } from './received-event.js';
import { type Transaction } from './transaction.js';

/** A method that was marked with `@HandleEvent`, bound to its instance. */
export interface RegisteredHandler {
  readonly contract: EventContract;
  /** `StockHandlers.reserve`: for messages. */
  readonly name: string;
  handle(event: ReceivedEvent, tx: Transaction): Promise<void>;
}

/** The handlers of a consumer, by event type. */
export class HandlerRegistry {
  readonly #byType = new Map<string, RegisteredHandler>();

  /** Throws `InboxError`: two handlers for one type (`handler_duplicate`, both named), or none (`handler_missing`). */
  constructor(handlers: readonly RegisteredHandler[]) {
    for (const handler of handlers) {
      const { type } = handler.contract;
      const other = this.#byType.get(type);
      if (other !== undefined) {
        throw new InboxError(
          'handler_duplicate',
          `Event ${type} has two handlers, ${other.name} and ${handler.name}. A consumer applies an event once: ` +
            'keep one of them, or give the other its own consumer.',
        );
      }
      this.#byType.set(type, handler);
    }
    if (this.#byType.size === 0) {
      throw new InboxError(
        'handler_missing',
        'No provider or controller has a method with @HandleEvent. Add one, or leave InboxModule out.',
      );
    }
  }

  handlerOf(type: string): RegisteredHandler | undefined {
    return this.#byType.get(type);
  }

  /** The contracts that are handled, in the order in which they were found. */
  contracts(): readonly EventContract[] {
    return [...this.#byType.values()].map(({ contract }) => contract);
  }
}

/** The handlers among all providers and controllers of an application. Throws `InboxError` as `HandlerRegistry` does. */
export function discoverHandlers(modules: ModulesContainer): HandlerRegistry {
  const discovery = new DiscoveryService(modules);
  const handlers: RegisteredHandler[] = [];
  const seen = new Set<object>();
  for (const wrapper of [...discovery.getControllers(), ...discovery.getProviders()]) {
    if (!wrapper.isDependencyTreeStatic()) {
      refuseScoped(wrapper.metatype);
      continue;
    }
    const instance: unknown = wrapper.instance;
    // an alias (`useExisting`) is the same instance once more
    if (typeof instance === 'object' && instance !== null && !seen.has(instance)) {
      seen.add(instance);
      handlers.push(...handlersOf(instance));
    }
  }
  return new HandlerRegistry(handlers);
}

/** The marked methods of one instance; what it inherits counts. */
export function handlersOf(instance: object): readonly RegisteredHandler[] {
  const prototype: unknown = Object.getPrototypeOf(instance);
  return markedMethods(prototype).map(({ name, contract }) => {
    const title = `${instance.constructor.name}.${name}`;
    return { contract, name: title, handle: (event, tx) => call(instance, name, [event, tx]) };
  });
}

async function call(instance: object, name: string, parameters: readonly unknown[]): Promise<void> {
  const method: unknown = Reflect.get(instance, name);
  if (typeof method !== 'function') {
    throw new InboxError('internal', `${instance.constructor.name}.${name} is no method any more.`);
  }
  await Reflect.apply(method, instance, parameters);
}

function markedMethods(prototype: unknown): readonly { readonly name: string; readonly contract: EventContract }[] {
  if (typeof prototype !== 'object' || prototype === null || prototype === Object.prototype) {
    return [];
  }
  const marked: { readonly name: string; readonly contract: EventContract }[] = [];
  for (const name of new MetadataScanner().getAllMethodNames(prototype)) {
    const method: unknown = Reflect.get(prototype, name);
    const contract: unknown = typeof method === 'function' ? Reflect.getMetadata(HANDLED_CONTRACT, method) : undefined;
    if (isEventContract(contract)) {
      marked.push({ name, contract });
    }
  }
  return marked;
}

/** An event belongs to no request, so there is no instance that it could be given to. */
function refuseScoped(metatype: unknown): void {
  const prototype: unknown = typeof metatype === 'function' ? metatype.prototype : null;
  const [first] = markedMethods(prototype);
  if (first !== undefined && typeof metatype === 'function') {
    throw new InboxError(
      'configuration_invalid',
      `${metatype.name}.${first.name} handles ${first.contract.type} in a request-scoped class. ` +
        'Move it to a class with the default scope.',
    );
  }
}
