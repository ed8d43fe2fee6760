import { createKafkaSink, type ReadTailsRequest } from '@millrace/transport';
import { tellHarness } from '../../harness/link.js';
import { pass } from './barriers.js';

/*
 * Loaded into a relay under test: one more barrier, as soon as it has read the ends of its lanes. Tells where each lane
 * ended before anything is sent there.
 */

// a sink opens nothing before it is started
const sink: unknown = Object.getPrototypeOf(
  createKafkaSink({ client: 'platformatic', connection: { brokers: ['127.0.0.1:9'] }, topics: { create: false } }),
);
if (!canReadTails(sink)) {
  throw new Error('The Kafka sink has no method `readTails` to wrap: adapt the preloaded modules of the fault runs.');
}
const { readTails } = sink;

sink.readTails = async function (request) {
  const { lanes, ended } = request;
  // a part of a lane is read later, while others are sent to: it tells nothing of the take-over
  if (lanes.some(({ from }) => from?.to !== undefined)) {
    await readTails.call(this, request);
    return;
  }
  await readTails.call(this, {
    ...request,
    ended: (end) => {
      if (end.kind === 'read') {
        tellHarness(`read ${end.topic}/${end.partition} to ${end.end}`);
      }
      ended(end);
    },
  });
  if (lanes.some(({ from }) => from !== null)) {
    pass('mid-take-over');
  }
};

function canReadTails(value: unknown): value is { readTails: (request: ReadTailsRequest) => Promise<void> } {
  return typeof value === 'object' && value !== null && 'readTails' in value;
}
