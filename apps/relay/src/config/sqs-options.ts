import { DirectoryPayloadStore, type SqsSinkOptions } from '@millrace/transport';
import { type CheckedSink } from './sink-schema.js';

/** What queues of the file stand for. */
export function sqsOptionsOf(sink: CheckedSink<'sqs'>): Omit<SqsSinkOptions, 'drainMs'> {
  const { queues, region, endpoint, lanes, payloads } = sink;
  return {
    connection: { ...(region && { region }), ...(endpoint && { endpoint }) },
    queues,
    ...(lanes && { lanes }),
    ...(payloads && { payloads: new DirectoryPayloadStore(payloads.directory) }),
  };
}
