import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type SinkLane, type SinkRecord } from '@millrace/transport';
import { type OpenedSink, type SinkScene } from './sink-scene.js';
import { always, type SinkProperty } from './sink-property.js';
import { demand, demandOnce } from './stored-checks.js';

const ROUNDS = 20;
const VALUE_BYTES = 20_000;

/** How sinks stand up to servers that are slow. */
export const FLOW_PROPERTIES: readonly SinkProperty[] = [
  {
    name: 'a slow lane',
    promise: 'A lane without an answer does not hold up the others.',
    whyNotPromised: (_sink, { slowDown }) => (typeof slowDown === 'string' ? slowDown : null),
    check: checkSlowLane,
  },
  {
    name: 'bounded memory',
    promise: 'A lane takes one send at a time, and nothing of a record stays once it is acknowledged.',
    whyNotPromised: always,
    check: checkMemory,
  },
];

async function checkSlowLane(scene: SinkScene): Promise<string> {
  const opened = await scene.open();
  const { sink, topic } = opened;
  const warm = await Promise.all(topic.lanes.map((lane) => delivered(scene, opened, lane)));
  const [slow] = topic.lanes;
  const { slowDown } = scene.subject;
  demand(slow !== undefined && typeof slowDown !== 'string', 'The topic has no lane that can be slow.');
  const key = keyOf(opened, slow);
  const held = [scene.record(key)];
  const { ids, release } = await slowDown(slow, Buffer.from(key));
  const others = topic.lanes.filter(({ id }) => !ids.has(id));
  demand(others.length > 0, 'Every lane is slow: there is none that must not be.');
  const slowSend = scene.sendOnce(sink, slow, held);
  const before = performance.now();
  const sent = await scene.inTime(
    Promise.all(others.map((lane) => deliveredOften(scene, opened, lane))),
    `${ROUNDS} batches of each lane beside a slow one`,
  );
  const ms = Math.round(performance.now() - before);
  const ending = await Promise.race([slowSend, Promise.resolve(null)]);
  await release();
  demand(ending?.kind !== 'acknowledged', 'The lane that was to be slow had its answer.');
  await slowSend;
  await scene.deliver(sink, slow, held);
  const stored = await scene.subject.readAll(topic.name);
  const all = [...warm.flat(), ...sent.flat()];
  const isOther = new Set(all.map(({ key: other }) => other.toString()).filter((other) => other !== key));
  demandOnce(
    stored.filter(({ key: found }) => isOther.has(String(found))),
    all.filter(({ key: other }) => other.toString() !== key),
  );
  return `${others.length} of ${topic.lanes.length} lanes sent ${ROUNDS} batches each in ${ms} ms meanwhile`;
}

async function deliveredOften(scene: SinkScene, opened: OpenedSink, lane: SinkLane): Promise<readonly SinkRecord[]> {
  const all: SinkRecord[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    all.push(...(await delivered(scene, opened, lane)));
  }
  return all;
}

async function delivered(scene: SinkScene, opened: OpenedSink, lane: SinkLane): Promise<readonly SinkRecord[]> {
  const records = scene.records([keyOf(opened, lane)], 3);
  await scene.deliver(opened.sink, lane, records);
  return records;
}

/** A key that belongs to the lane. */
function keyOf({ topic }: OpenedSink, lane: SinkLane): string {
  for (let number = 0; ; number += 1) {
    const key = `lane-key-${number}-`;
    if (topic.laneOf(Buffer.from(key)).id === lane.id) {
      return key;
    }
  }
}

async function checkMemory(scene: SinkScene): Promise<string> {
  const opened = await scene.open();
  const { sink, topic } = opened;
  const [lane] = topic.lanes;
  demand(lane !== undefined, 'The topic has no lane.');
  await scene.deliver(sink, lane, [scene.record(keyOf(opened, lane))]);
  const values = await sendMuch(scene, opened, lane);
  const kept = await aliveOf(values);
  demand(kept === 0, `${kept} of ${values.length} values are still in memory after they were acknowledged.`);

  scene.subject.faults.silence();
  const held = [scene.record(keyOf(opened, lane))];
  const pending = scene.sendOnce(sink, lane, held);
  const second = await sink.send(lane, [scene.record(keyOf(opened, lane))]).then(
    () => 'acknowledged',
    (error: unknown) => (error instanceof Error ? error.name : 'thrown'),
  );
  demand(second === 'Error', `A second send on a lane in flight is ${second}, and not refused as a mistake.`);
  scene.subject.faults.cut();
  const { kind } = await pending;
  demand(kind === 'unknown', `A send without an answer ended as ${kind}.`);
  return `${values.length} values of ${VALUE_BYTES.toLocaleString('en')} bytes, none kept`;
}

/** Nothing here keeps the values. */
async function sendMuch(scene: SinkScene, { sink }: OpenedSink, lane: SinkLane): Promise<readonly WeakRef<Buffer>[]> {
  const values: WeakRef<Buffer>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const records = Array.from({ length: 10 }, () => scene.record('k', Buffer.alloc(VALUE_BYTES, 'v')));
    values.push(...records.map(({ value }) => new WeakRef(value)));
    await scene.deliver(sink, lane, records);
  }
  return values;
}

async function aliveOf(values: readonly WeakRef<Buffer>[]): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  demand(typeof collect === 'function', 'This Node gives no access to its garbage collector.');
  let alive = values.length;
  for (let attempt = 0; attempt < ROUNDS && alive > 0; attempt += 1) {
    await turn();
    Reflect.apply(collect, undefined, []);
    await turn();
    alive = values.filter((value) => value.deref() !== undefined).length;
  }
  return alive;
}
