import { createSqsSubscription } from '@millrace/transport';
import { type QueueScene } from './queue-row.js';

/** How a subscription of the harness reaches a local SQS. */
export const CONNECTION = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
/** Of a poll, and so of how long the end takes. */
export const WAIT_SECONDS = 1;

/** Takes everything out of the queue of the scene as it comes, past the proxy, until the row ends. */
export async function consume({ world, sqs, queue, topic, reader }: QueueScene): Promise<void> {
  const subscription = reader.around(
    createSqsSubscription({
      connection: CONNECTION,
      queues: sqs.urlOf(queue),
      topics: [topic],
      waitSeconds: WAIT_SECONDS,
    }),
  );
  world.atEnd(async () => subscription.stop());
  await subscription.start({
    open: async (partition) =>
      Promise.resolve({
        receive: async ({ deliveries }) => {
          deliveries.forEach((delivery) => partition.settle?.(delivery));
          return Promise.resolve();
        },
        close: async () => Promise.resolve(),
      }),
  });
}
