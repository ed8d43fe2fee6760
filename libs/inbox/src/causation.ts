import { type PublishOptions } from '@millrace/outbox';
import { type ReceivedEvent } from './received-event.js';

const CORRELATION = 'correlation-id';
const CAUSATION = 'causation-id';
const PASSED_ON = ['traceparent', 'tracestate'] as const;

/**
 * Options for `outbox.publish(tx, Contract, payload, causedBy(event))`: the outgoing event carries the `correlation-id`
 * of `event` (its id when it has none, as it then began the story), `event`'s id as `causation-id`, and its trace.
 */
export function causedBy(event: Pick<ReceivedEvent, 'id' | 'headers'>): Required<Pick<PublishOptions, 'headers'>> {
  const headers: Record<string, string> = {
    [CORRELATION]: event.headers[CORRELATION] ?? event.id,
    [CAUSATION]: event.id,
  };
  for (const name of PASSED_ON) {
    const value = event.headers[name];
    if (value !== undefined) {
      headers[name] = value;
    }
  }
  return { headers };
}
