import { createKafkaSink, type SinkLane, type SinkPort, type SinkReceipt, type SinkRecord } from '@millrace/transport';
import { around } from './around.js';

/** Puts `wrapper` around each send of all Kafka sinks of this process. */
export function aroundSend(wrapper: (send: () => Promise<SinkReceipt>, lane: SinkLane) => Promise<SinkReceipt>): void {
  around<'send', [SinkLane, readonly SinkRecord[]], SinkReceipt>(sinkPrototype(), 'send', (send, _sink, [lane]) =>
    wrapper(send, lane),
  );
}

/** What all Kafka sinks of this process inherit their methods from. */
function sinkPrototype(): SinkPort {
  // a sink opens nothing before it is started
  const sink = createKafkaSink({
    client: 'platformatic',
    connection: { brokers: ['127.0.0.1:9'] },
    topics: { create: false },
  });
  const prototype: unknown = Object.getPrototypeOf(sink);
  if (!isSinkPort(prototype)) {
    throw new Error('The Kafka sink has no method `send` to wrap: adapt the preloaded modules of the fault runs.');
  }
  return prototype;
}

function isSinkPort(value: unknown): value is SinkPort {
  return typeof value === 'object' && value !== null && 'send' in value;
}
