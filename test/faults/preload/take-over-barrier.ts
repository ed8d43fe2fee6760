import { createKafkaSink, type ReadTailsRequest } from '@millrace/transport';
import { around } from './around.js';
import { pass } from './barriers.js';

/* Loaded into a relay under test: one more barrier, where it has read the ends of its lanes and has sent nothing yet. */

// a sink opens nothing before it is started
const sink: unknown = Object.getPrototypeOf(
  createKafkaSink({ client: 'platformatic', connection: { brokers: ['127.0.0.1:9'] }, topics: { create: false } }),
);
if (!canReadTails(sink)) {
  throw new Error('The Kafka sink has no method `readTails` to wrap: adapt the preloaded modules of the fault runs.');
}

around<'readTails', [ReadTailsRequest], unknown>(sink, 'readTails', async (read, _sink, [{ lanes }]) => {
  await read();
  if (lanes.some(({ from }) => from !== null)) {
    pass('mid-take-over');
  }
});

function canReadTails(value: unknown): value is { readTails: (request: ReadTailsRequest) => Promise<unknown> } {
  return typeof value === 'object' && value !== null && 'readTails' in value;
}
