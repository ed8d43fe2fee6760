import { type SinkLane, type SinkRecord } from '@millrace/transport';
import { until } from '../until.js';
import { type OpenedSink, positionOf, type SinkScene } from './sink-scene.js';
import { always, declared, type SinkProperty } from './sink-property.js';
import { CONFORMANCE_DRAIN_MS } from './sink-subject.js';
import { demand, demandAll, demandOnce, demandOrder } from './stored-checks.js';

const KEYS = ['a', 'b', 'c', 'd'];
/** The rest is for a machine that is busy. */
const STOP_MS = CONFORMANCE_DRAIN_MS + 8_000;

/** What happens when the server is away, when its answers are, and when a sink is stopped. */
export const OUTAGE_PROPERTIES: readonly SinkProperty[] = [
  {
    name: 'reconnect',
    promise:
      'While the server is away or silent, sends end as unknown, in time; the same sink goes on once it is back.',
    whyNotPromised: always,
    check: checkReconnect,
  },
  {
    name: 'graceful stop',
    promise: 'Stopping waits for the sends in flight, a limited time; later ones are refused, and it can start again.',
    whyNotPromised: always,
    check: checkStop,
  },
  {
    name: 'ambiguity',
    promise: 'A send whose answer is lost ends as unknown; sent again, its records are there, at most repeated.',
    whyNotPromised: always,
    check: async (scene) => (await afterLostReplies(scene)).seen,
  },
  {
    name: 'no repeats',
    promise: 'What is sent again after an answer that was lost is stored once.',
    whyNotPromised: declared('isDeduplicating', 'it does not declare that repeats are stored once'),
    check: checkNoRepeats,
  },
];

async function checkReconnect(scene: SinkScene): Promise<string> {
  const { faults } = scene.subject;
  const opened = await scene.open();
  const { sink, topic } = opened;
  const lane = topic.laneOf(Buffer.from('a'));
  const records: SinkRecord[] = [];
  const waits: number[] = [];
  for (const fault of [faults.cut, faults.silence] as const) {
    records.push(scene.record('a'));
    await scene.deliver(sink, lane, records.slice(-1));
    fault();
    records.push(scene.record('a'));
    const before = performance.now();
    const { kind } = await scene.inTime(
      scene.sendOnce(sink, lane, records.slice(-1)),
      'a send while the server is away',
    );
    waits.push(Math.round(performance.now() - before));
    demand(kind === 'unknown', `A send while the server was away ended as ${kind}.`);
    faults.heal();
    await scene.deliver(sink, lane, records.slice(-1));
  }
  const more = scene.records(KEYS, 40);
  await scene.deliverAll(opened, more, 4);
  const stored = await scene.subject.readAll(topic.name);
  demandAll(stored, [...records, ...more]);
  if (sink.features.isOrdered) {
    demandOrder(stored, [...records, ...more]);
  }
  return `rejected after ${waits[0] ?? 0} ms when cut, after ${waits[1] ?? 0} ms when silent`;
}

async function checkStop(scene: SinkScene): Promise<string> {
  await scene.create().stop();
  const opened = await scene.open();
  const { sink, topic } = opened;
  const warm = scene.records(['warm'], topic.lanes.length);
  await Promise.all(topic.lanes.map((lane, at) => scene.deliver(sink, lane, warm.slice(at, at + 1))));
  const batches = topic.lanes.map((lane) => ({ lane, records: scene.records(KEYS, 4) }));
  const sends = batches.map(({ lane, records }) => scene.sendOnce(sink, lane, records));
  await scene.inTime(Promise.all([sink.stop(), sink.stop()]), 'a stop of a sink with sends in flight', STOP_MS);
  const endings = await Promise.all(sends);
  const cut = endings.filter(({ kind }) => kind !== 'acknowledged').length;
  demand(cut === 0, `${cut} of ${sends.length} sends in flight were not waited for.`);
  demandAll(await scene.subject.readAll(topic.name), [...warm, ...batches.flatMap(({ records }) => records)]);

  const [lane] = topic.lanes;
  demand(lane !== undefined, 'The topic has no lane.');
  const late = await scene.sendOnce(sink, lane, [scene.record('late')]);
  demand(late.code === 'unavailable', `A send after the stop ended as ${late.kind}, ${late.code}.`);
  const again = await startAgain(scene, opened);
  return `${sends.length} sends in flight, all acknowledged; ${await silentStop(scene, again)} ms to stop in silence`;
}

async function startAgain(scene: SinkScene, { sink, topic }: OpenedSink): Promise<OpenedSink> {
  await sink.start();
  const again = { sink, topic: await sink.openTopic(topic.name) };
  await scene.deliver(sink, again.topic.laneOf(Buffer.from('a')), [scene.record('a')]);
  return again;
}

/** Milliseconds until a sink is stopped whose server does not answer. */
async function silentStop(scene: SinkScene, { sink, topic }: OpenedSink): Promise<number> {
  scene.subject.faults.silence();
  const pending = scene.sendOnce(sink, topic.laneOf(Buffer.from('a')), [scene.record('a')]);
  const before = performance.now();
  await scene.inTime(sink.stop(), 'a stop of a sink whose server is silent', STOP_MS);
  const ms = Math.round(performance.now() - before);
  scene.subject.faults.heal();
  const { kind } = await pending;
  demand(kind === 'unknown', `A send that a stop cut off ended as ${kind}.`);
  return ms;
}

async function checkNoRepeats(scene: SinkScene): Promise<string> {
  const { topic, records, seen } = await afterLostReplies(scene);
  demandOnce(await scene.subject.readAll(topic), records);
  return seen;
}

/** Answers are lost after the server has stored the records: that it has them is seen before they are sent again. */
async function afterLostReplies(
  scene: SinkScene,
): Promise<{ readonly topic: string; readonly records: readonly SinkRecord[]; readonly seen: string }> {
  const { sink, topic } = await scene.open();
  const { subject } = scene;
  const lane = topic.laneOf(Buffer.from('a'));
  const records = [...scene.records(['a'], 2)];
  await scene.deliver(sink, lane, records);
  for (let round = 0; round < 2; round += 1) {
    // one record of each key: a server that takes a batch piece by piece has all of it before its first answer
    const lost = scene.records(KEYS, KEYS.length);
    subject.faults.loseReplies();
    await loseOne(scene, { sink, topic }, lane, lost);
    subject.faults.heal();
    await scene.deliver(sink, lane, lost);
    records.push(...lost, scene.record('a'));
    await scene.deliver(sink, lane, records.slice(-1));
  }
  const stored = await subject.readAll(topic.name);
  const repeats = demandAll(stored, records);
  demand(repeats <= 2 * KEYS.length, `${repeats} repeats, more than was sent again.`);
  if (sink.features.isOrdered) {
    demandOrder(stored, records);
  }
  return { topic: topic.name, records, seen: `2 lost answers, ${repeats} repeats of ${records.length} records` };
}

async function loseOne(
  scene: SinkScene,
  { sink, topic }: OpenedSink,
  lane: SinkLane,
  lost: readonly SinkRecord[],
): Promise<void> {
  const { subject } = scene;
  const sending = scene.sendOnce(sink, lane, lost);
  const wanted = new Set(lost.map(positionOf));
  await until(
    async () => (await subject.readAll(topic.name)).filter((one) => wanted.has(positionOf(one))).length,
    (count) => count >= lost.length,
    'the server to store the records whose answer is lost',
  );
  subject.faults.cut();
  const { kind } = await sending;
  demand(kind === 'unknown', `A send whose answer was lost ended as ${kind}.`);
}
