import { decodeDelivery, decodeEvent } from './decode-delivery.js';
import { type HandlerRegistry, type RegisteredHandler } from './handler-registry.js';
import { type InboxClock } from './inbox-clock.js';
import { InboxError } from './inbox.errors.js';
import { type Handle } from './inbox-port.js';

/** What it takes to run a handler. */
export interface HandlerEnvironment {
  readonly registry: HandlerRegistry;
  readonly clock: InboxClock;
  /** A handler that takes longer is given up and its transaction rolled back. */
  readonly handlerTimeoutMs: number;
  /** Called after each run, whether it succeeded or not; the transaction may still be rolled back. */
  readonly handled?: (type: string, durationMs: number) => void;
}

/** Decodes the payload and runs the handler in the given transaction; for arrivals that have just been decoded. */
export function createHandle(environment: HandlerEnvironment): Handle {
  return async (arrival, tx) => {
    const handler = environment.registry.handlerOf(arrival.type);
    if (handler === undefined) {
      throw new InboxError('handler_missing', `This consumer has no handler for event ${arrival.type} any more.`);
    }
    const { clock } = environment;
    const event = await decodeEvent(arrival, handler.contract);
    const startedMs = clock.monotonicMs();
    try {
      await runInTime(environment, handler, () => handler.handle(event, tx));
    } finally {
      environment.handled?.(arrival.type, clock.monotonicMs() - startedMs);
    }
  };
}

/** The same for arrivals out of a held chain: they may have been set aside because the record itself is broken. */
export function createReleaseHandle(environment: HandlerEnvironment): Handle {
  const handle = createHandle(environment);
  return async (arrival, tx) => {
    const decoded = decodeDelivery(arrival.delivery, () => true);
    if (decoded.kind === 'malformed') {
      throw new InboxError('record_malformed', decoded.reason);
    }
    await handle(arrival, tx);
  };
}

async function runInTime(
  { clock, handlerTimeoutMs }: HandlerEnvironment,
  handler: RegisteredHandler,
  run: () => Promise<void>,
): Promise<void> {
  let cancel = (): void => undefined;
  const timeout = new Promise<never>((_, reject) => {
    cancel = clock.after(handlerTimeoutMs, () => {
      reject(
        new InboxError(
          'handler_timeout',
          `${handler.name} did not end within ${handlerTimeoutMs} ms; it was given up and rolled back.`,
        ),
      );
    });
  });
  try {
    await Promise.race([run(), timeout]);
  } finally {
    cancel();
  }
}
