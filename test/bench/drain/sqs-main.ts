import { LocalSqs } from '@millrace/testing';
import { listenToHarness, tellHarness } from '../../harness/link.js';

/** `count` answers with how many messages the queue has, and how many of them say something different. */
const COMMANDS: Readonly<Record<string, (sqs: LocalSqs, queue: string) => string>> = {
  create: (sqs, queue) => sqs.createQueue(queue),
  count: (sqs, queue) => {
    const { ready, inFlight } = sqs.contentOf(queue);
    return JSON.stringify({ messages: ready.length + inFlight, distinct: new Set(ready).size });
  },
  delete: (sqs, queue) => {
    sqs.deleteQueue(queue);
    return '';
  },
};

await main();

/** A local SQS as a process of its own: first it says where it is, then it answers each command with a line. */
async function main(): Promise<void> {
  const sqs = await LocalSqs.start();
  listenToHarness((line) => {
    const [command = '', queue = ''] = line.split(' ');
    const answer = COMMANDS[command]?.(sqs, queue);
    if (answer !== undefined) {
      tellHarness(answer);
    }
  });
  tellHarness(sqs.endpoint);
}
