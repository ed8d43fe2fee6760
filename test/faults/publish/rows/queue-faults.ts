import { setTimeout as sleep } from 'node:timers/promises';
import { type LibEdit } from '../../../harness/libs-copy.js';
import { countText } from '../../run-report.js';
import { beginLoad, isTold, startRelay } from '../publish-scene.js';
import { consume } from '../queue/plain-consumer.js';
import { type QueueRow, type QueueScene } from '../queue/queue-row.js';
import { harming, REQUEST_FAULTS, type RequestFault } from '../queue/request-faults.js';

/** A request has ten messages at most, one of a key. */
const EVENTS_PER_SECOND = 150;
const EACH_MS = 5_000;
/** Between the kinds of harm, so that the pauses after failures are short again. */
const QUIET_MS = 2_000;
const CONTROL_MS = 10_000;

/** Relay, load and consumer; then the requests are harmed in one way after the other, in the end in all ways at once. */
async function sendThroughFaults(scene: QueueScene): Promise<void> {
  const { world, proxy } = scene;
  await startRelay(scene);
  await consume(scene);
  await beginLoad(scene, EVENTS_PER_SECOND);
  const told = isTold(scene);
  const done: RequestFault[] = [];
  for (const faults of [...REQUEST_FAULTS.map((fault) => [fault]), REQUEST_FAULTS]) {
    proxy.set(harming(faults, world.random, (fault) => done.push(fault)));
    await sleep(EACH_MS);
    proxy.clear();
    await sleep(QUIET_MS);
  }
  scene.lanes.end();
  await told;
  await world.recovers('the last fault');
  world.note(`requests harmed: ${countText(done)}`);
  const missing = REQUEST_FAULTS.filter((fault) => !done.includes(fault));
  if (missing.length > 0) {
    world.found('unmet', `no request was harmed in these ways: ${missing.join()}`);
  }
}

export const FIFO_REQUESTS_HARMED: QueueRow = {
  id: '48a',
  title:
    'FIFO queue: 30 % of entries fail, requests are throttled, answered 503, their replies lost or swallowed: no copy, nothing overtakes a failed entry of its group',
  kind: 'fifo',
  async run(scene) {
    scene.world.allowsNoRepeats();
    await sendThroughFaults(scene);
  },
};

export const STANDARD_REQUESTS_HARMED: QueueRow = {
  id: '48b',
  title: 'the same for a standard queue, which has no order and takes copies: none lost',
  kind: 'standard',
  async run(scene) {
    const { world } = scene;
    world.excuses(({ kind }) => kind === 'order' || kind === 'low' || kind === 'epoch');
    world.explains(() => 'stored, and answered as failed or not at all');
    await sendThroughFaults(scene);
  },
};

const IGNORES_FAILED: readonly LibEdit[] = [
  {
    file: 'transport/dist/sqs/sqs-sink.js',
    find: 'if (failure !== undefined) {',
    replace: 'if (failure !== undefined && batch.length === 0) {',
  },
  {
    file: 'transport/dist/sqs/sqs-sink.js',
    find: 'if (entries.some(({ id }) => !done.has(id))) {',
    replace: 'if (entries.length === 0) {',
  },
];

const SEVERAL_OF_A_GROUP: readonly LibEdit[] = [
  {
    file: 'transport/dist/sqs/sqs-batch.js',
    find: 'const isFirst = groupId === null || !groups.has(groupId);',
    replace: 'const isFirst = true;',
  },
];

/** A third of the entries fails, and that is all. */
async function sendThroughFailures(scene: QueueScene): Promise<void> {
  const { world, proxy } = scene;
  await startRelay(scene);
  await consume(scene);
  await beginLoad(scene, EVENTS_PER_SECOND);
  proxy.set(harming(['failed entries'], world.random, () => undefined));
  await sleep(CONTROL_MS);
  proxy.clear();
  scene.lanes.end();
  await world.recovers('the last fault');
}

export const FAILED_IGNORED: QueueRow = {
  id: '48-control-1',
  title: 'a relay that takes an answer of 200 for success whatever it says of its entries: must be found to lose',
  kind: 'fifo',
  isControl: true,
  wrongRule: { edits: IGNORES_FAILED, finds: 'lost' },
  run: sendThroughFailures,
};

export const GROUP_TOGETHER: QueueRow = {
  id: '48-control-2',
  title: 'a relay that puts several events of a key into one request: must be found to reorder',
  kind: 'fifo',
  isControl: true,
  wrongRule: { edits: SEVERAL_OF_A_GROUP, finds: 'order' },
  run: sendThroughFailures,
};
