import { type LocalSqs, until } from '@millrace/testing';

/** Waits until consumers have taken everything out of the queue; rejects when they do not in time. */
export async function emptied(sqs: LocalSqs, queue: string): Promise<void> {
  await until(
    async () => {
      const { ready, inFlight } = sqs.contentOf(queue);
      return Promise.resolve({ ready: ready.length, inFlight });
    },
    ({ ready, inFlight }) => ready + inFlight === 0,
    `the queue ${queue} to be empty`,
  );
}
