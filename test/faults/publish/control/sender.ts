import { Kafka, logLevel, type Producer } from 'kafkajs';
import { freeze, listenToHarness, tellHarness } from '../../../harness/link.js';
import { RECORDS_PER_PARTITION } from './batches.js';

/*
 * The control of the fault runs, and no part of the product: kafkajs with its default retries, as one would first write
 * it. A batch covers all partitions; one that fails is sent again as it is, and the next one begins when it succeeded.
 */

const [brokers = '', topic = '', partitions = ''] = process.argv.slice(2);

listenToHarness((line) => {
  if (line === 'stop') {
    freeze(); // what is in flight stays unknown, and all that was told is acknowledged
  }
});

const producer = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING }).producer({
  allowAutoTopicCreation: false,
});
await producer.connect();
for (let batch = 0; ; batch += 1) {
  await sendUntilAcknowledged(producer, batch);
  tellHarness(`batch ${batch}`);
}

async function sendUntilAcknowledged(sender: Producer, batch: number): Promise<void> {
  const messages = Array.from({ length: Number(partitions) * RECORDS_PER_PARTITION }, (_, index) => ({
    partition: index % Number(partitions),
    key: `key-${index % Number(partitions)}`,
    value: String(batch * RECORDS_PER_PARTITION + Math.floor(index / Number(partitions))),
  }));
  for (;;) {
    try {
      await sender.send({ topic, acks: -1, messages });
      return;
    } catch {
      // the outcome is unknown: once more, the same
    }
  }
}
