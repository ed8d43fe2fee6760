import { type Delivery } from '@millrace/transport';
import { type OpenedSink, type SinkScene } from './sink-scene.js';
import { always, declared, type SinkProperty } from './sink-property.js';
import { demand, demandAll, demandOnce, demandOrder } from './stored-checks.js';

const KEYS = Array.from({ length: 12 }, (_, index) => `key-${index}`);
/** Texts and bytes that a server or a protocol between may not take as they are. */
const ODD_VALUES = [
  Buffer.alloc(0),
  Buffer.from('{"a":1,"b":"é 日本 🚂"}'),
  Buffer.from('\u0000\u0001\ufffe\uffff'),
  Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x27, 0x5c]),
  Buffer.from(' \r\n\t'),
];

/** What is stored, how often, and in which order, when nothing fails or connections are cut. */
export const ORDER_PROPERTIES: readonly SinkProperty[] = [
  {
    name: 'coverage',
    promise: 'Every acknowledged record is there once, with every byte of its key, value and headers.',
    whyNotPromised: always,
    check: checkCoverage,
  },
  {
    name: 'order per key',
    promise: 'The records of a key are stored in the order in which they were sent, also when connections are cut.',
    whyNotPromised: declared('isOrdered', 'it declares no order'),
    check: checkOrder,
  },
  {
    name: 'read back',
    promise: 'What a topic has stored can be read back, by whoever did not send it.',
    whyNotPromised: ({ readBack }) => (readBack === undefined ? 'it has no readBack' : null),
    check: checkReadBack,
  },
];

async function checkCoverage(scene: SinkScene): Promise<string> {
  const opened = await scene.open();
  const { sink, topic } = opened;
  const odd = ODD_VALUES.map((value, index) => scene.record(`odd ${index} é\u0000`, value));
  await scene.deliverAll(opened, odd, 1);
  const full = scene.records(['full'], sink.features.batchRecordsMax);
  await scene.deliver(sink, topic.laneOf(Buffer.from('full')), full);
  const many = scene.records(KEYS, 300);
  await scene.deliverAll(opened, many, 7);
  const records = [...odd, ...full, ...many];
  demandOnce(await scene.subject.readAll(topic.name), records);
  return `${records.length} records, ${full.length} of them in one batch`;
}

async function checkOrder(scene: SinkScene): Promise<string> {
  const opened = await scene.open();
  const { faults } = scene.subject;
  const records = scene.records(KEYS, 600);
  let failures = 0;
  for (let at = 0; at < records.length; at += 200) {
    const delivered = scene.deliverAll(opened, records.slice(at, at + 200), 5, () => {
      failures += 1;
      faults.heal();
    });
    faults.cut();
    await delivered;
  }
  demand(failures > 0, 'No send failed though connections were cut.');
  const stored = await scene.subject.readAll(opened.topic.name);
  demandAll(stored, records);
  demandOrder(stored, records);
  return `${records.length} records of ${KEYS.length} keys, ${failures} failed sends`;
}

async function checkReadBack(scene: SinkScene): Promise<string> {
  const opened = await scene.open();
  const records = scene.records(KEYS, 240);
  await scene.deliverAll(opened, records, 20);
  const other = await scene.open(opened.topic.name);
  const stored = await readBack(other);
  demandOnce(stored, records);
  demandOrder(stored, records);
  return `${records.length} records`;
}

async function readBack({ sink, topic }: OpenedSink): Promise<readonly Delivery[]> {
  const stored: Delivery[] = [];
  const request = { isWanted: (name: string) => name === topic.name, sinceMs: 0, signal: new AbortController().signal };
  const result = await sink.readBack?.(request, (records) => {
    stored.push(...records);
    return Promise.resolve();
  });
  demand(result?.kind === 'complete', `Reading back a new topic is ${result?.kind ?? 'not possible'}, not complete.`);
  return stored;
}
