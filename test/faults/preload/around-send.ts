import {
  createKafkaSink,
  createSqsSink,
  type SinkLane,
  type SinkPort,
  type SinkReceipt,
  type SinkRecord,
} from '@millrace/transport';
import { around } from './around.js';

/** Puts `wrapper` around each send of all Kafka and SQS sinks of this process. */
export function aroundSend(wrapper: (send: () => Promise<SinkReceipt>, lane: SinkLane) => Promise<SinkReceipt>): void {
  for (const prototype of sinkPrototypes()) {
    around<'send', [SinkLane, readonly SinkRecord[]], SinkReceipt>(prototype, 'send', (send, _sink, [lane]) =>
      wrapper(send, lane),
    );
  }
}

/** What all sinks of a kind inherit their methods from. */
function sinkPrototypes(): readonly SinkPort[] {
  // a sink opens nothing before it is started
  const sinks = [
    createKafkaSink({ client: 'platformatic', connection: { brokers: ['127.0.0.1:9'] }, topics: { create: false } }),
    createSqsSink({ connection: {}, queues: 'http://127.0.0.1:9/0/none' }),
  ];
  return sinks.map((sink) => {
    const prototype: unknown = Object.getPrototypeOf(sink);
    if (!isSinkPort(prototype)) {
      throw new Error(
        `The sink ${sink.kind} has no method \`send\` to wrap: adapt the preloaded modules of fault runs.`,
      );
    }
    return prototype;
  });
}

function isSinkPort(value: unknown): value is SinkPort {
  return typeof value === 'object' && value !== null && 'send' in value;
}
