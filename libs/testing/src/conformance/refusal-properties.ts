import { type SinkLane, type SinkPort, type SinkRecord } from '@millrace/transport';
import { type SinkScene } from './sink-scene.js';
import { always, type SinkProperty } from './sink-property.js';
import { demand, demandAll, demandOnce, demandOrder } from './stored-checks.js';

/** What a sink does when its server takes a part of a batch, or refuses a record. */
export const REFUSAL_PROPERTIES: readonly SinkProperty[] = [
  {
    name: 'partial failure',
    promise:
      'A batch of which the server took a part is not acknowledged; sent again, each of its records is there, in order. ' +
      'Where batches are atomic, no part is ever there.',
    whyNotPromised: always,
    check: checkPartialFailure,
  },
  {
    name: 'poison',
    promise: 'A record that the server refuses is refused for good, is found by halving, and stops no other.',
    whyNotPromised: always,
    check: checkPoison,
  },
  {
    name: 'oversize',
    promise: 'A record above the limit is refused for good before it is sent, one that is half of it is taken.',
    whyNotPromised: always,
    check: checkOversize,
  },
];

async function checkPartialFailure(scene: SinkScene): Promise<string> {
  const { sink, topic } = await scene.open();
  const { subject } = scene;
  const lane = topic.laneOf(Buffer.from('a'));
  const first = scene.records(['a'], 1);
  await scene.deliver(sink, lane, first);
  // large enough for a cut in the middle of it
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
  const records = keys.flatMap((key) => [scene.record(key, 'x'.repeat(8_000)), scene.record(key, 'y'.repeat(8_000))]);

  subject.faults.breakBatches();
  const { kind } = await scene.sendOnce(sink, lane, records);
  demand(kind === 'unknown', `A send of which the server took a part ended as ${kind}.`);
  subject.faults.heal();
  const part = (await subject.readAll(topic.name)).length - first.length;
  const isWhole = part === 0 || part === records.length;
  demand(
    isWhole || !sink.features.isBatchAtomic,
    `${part} of ${records.length} records of an atomic batch are stored.`,
  );
  demand(!isWhole || sink.features.isBatchAtomic, 'The fault stored no part of a batch that is not atomic.');

  await scene.deliver(sink, lane, records);
  const stored = await subject.readAll(topic.name);
  const repeats = demandAll(stored, [...first, ...records]);
  if (sink.features.isOrdered) {
    demandOrder(stored, [...first, ...records]);
  }
  return `${part} of ${records.length} records stored by the failed send, ${repeats} repeats after the next`;
}

async function checkPoison(scene: SinkScene): Promise<string> {
  const { topic: name, value } = await scene.subject.makePoisonedTopic();
  const { sink, topic } = await scene.open(name);
  const lane = topic.laneOf(Buffer.from('a'));
  const before = scene.records(['a', 'b', 'c'], 10);
  const poison = scene.record('poisoned', value);
  const after = scene.records(['a', 'b', 'c'], 10);

  const refused = await withoutRefused(scene, sink, lane, [...before, poison, ...after]);

  demand(
    refused.length === 1 && refused[0] === poison,
    `${refused.length} records were refused, not the poison alone.`,
  );
  const others = [...before, ...after];
  const stored = await scene.subject.readAll(name);
  const repeats = demandAll(stored, others);
  if (sink.features.isOrdered) {
    demandOrder(stored, others);
  }
  return `1 of ${others.length + 1} records refused, ${others.length} stored, ${repeats} repeats`;
}

/** As a relay finds the poison: a batch that is refused is sent in halves, in order. Returns those that were refused alone. */
async function withoutRefused(
  scene: SinkScene,
  sink: SinkPort,
  lane: SinkLane,
  records: readonly SinkRecord[],
): Promise<readonly SinkRecord[]> {
  const { kind, code } = await scene.sendOnce(sink, lane, records);
  if (kind === 'acknowledged') {
    return [];
  }
  demand(kind === 'refused', `A batch with a record that the server refuses ended as ${kind}, ${code}.`);
  if (records.length === 1) {
    return records;
  }
  const middle = Math.ceil(records.length / 2);
  const first = await withoutRefused(scene, sink, lane, records.slice(0, middle));
  return [...first, ...(await withoutRefused(scene, sink, lane, records.slice(middle)))];
}

async function checkOversize(scene: SinkScene): Promise<string> {
  const { sink, topic } = await scene.open();
  const { recordBytesMax } = sink.features;
  const lane = topic.laneOf(Buffer.from('a'));
  const small = scene.record('a');
  const half = scene.record('a', Buffer.alloc(Math.floor(recordBytesMax / 2), 'x'));
  const over = scene.record('a', Buffer.alloc(recordBytesMax + 1, 'x'));

  for (const batch of [[over], [small, over]]) {
    const { kind, code } = await scene.sendOnce(sink, lane, batch);
    demand(
      kind === 'refused' && code === 'record_too_large',
      `A batch with a record above the limit ended as ${kind}, ${code}, and not as refused, record_too_large.`,
    );
  }
  const early = await scene.subject.readAll(topic.name);
  demand(early.length === 0, `${early.length} records of batches that were refused for a size are stored.`);
  await scene.deliver(sink, lane, [small]);
  await scene.deliver(sink, lane, [half]);
  demandOnce(await scene.subject.readAll(topic.name), [small, half]);
  return `limit ${recordBytesMax.toLocaleString('en')} bytes`;
}
