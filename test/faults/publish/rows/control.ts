import { join } from 'node:path';
import { consoleConsume } from '@millrace/testing';
import { LinkedProcess } from '../../../harness/linked-process.js';
import { brokersFail, LeaderMoves } from '../broker-faults.js';
import { checkBatches } from '../control/batches.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';

const PARTITIONS = 12;

/** Without it, a run without losses would not show that this run can find any. */
export const KAFKAJS_CONTROL: PublishRow = {
  id: 'D3-control',
  title:
    'the faults of D3a for a sender on kafkajs with its default retries, no relay: it must be found to lose or reorder',
  isControl: true,
  async run(scene) {
    const { world, cluster, topic } = scene;
    const control = startSender(scene);
    const moves = LeaderMoves.start(scene);
    await brokersFail(scene);
    await moves.stop();
    control.sender.tell('stop');
    await control.sender.end('SIGKILL');
    const records = await consoleConsume({ brokers: cluster.directBrokers, topic: control.topic });
    const { lost, reordered, repeats } = checkBatches(records, control.batches(), PARTITIONS);
    world.note(`${records.length} records, ${lost} lost, ${reordered} reordered, ${repeats} repeats`);
    if (lost + reordered === 0) {
      world.found('unmet', `the control lost and reordered nothing in topic ${topic}`);
    }
  },
};

interface Control {
  readonly sender: LinkedProcess;
  readonly topic: string;
  /** Acknowledged so far. */
  batches(): number;
}

function startSender({ world, cluster, topic, programs }: PublishScene): Control {
  let batches = 0;
  const sender = new LinkedProcess({
    main: join(programs, 'faults', 'publish', 'control', 'sender.js'),
    programArguments: [cluster.brokers.join(), topic, String(PARTITIONS)],
    file: world.logOf('control').replace(/\.log$/, ''),
    environment: {},
    onLine: (line) => {
      batches += Number(line.startsWith('batch '));
    },
  });
  world.atEnd(async () => sender.end('SIGKILL'));
  return { sender, topic, batches: () => batches };
}
