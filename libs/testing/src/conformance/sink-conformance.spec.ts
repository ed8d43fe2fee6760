import { describe, expect, it } from '@jest/globals';
import { type BrokenRule, memorySubject } from './memory-subject.js';
import { SINK_PROPERTIES, verdictOf } from './sink-conformance.js';
import { type SinkSubject } from './sink-subject.js';

const FOUND_BY: readonly (readonly [BrokenRule, string])[] = [
  ['acknowledges what it has lost', 'coverage'],
  ['changes a value', 'coverage'],
  ['lets a key overtake itself', 'order per key'],
  ['leaves out a record when it is read back', 'read back'],
  ['leaves the end of a batch out after a fault', 'partial failure'],
  ['keeps a part of a batch that it calls atomic', 'partial failure'],
  ['calls a refusal unknown', 'poison'],
  ['takes what is too large', 'oversize'],
  ['stops all lanes for one', 'a slow lane'],
  ['keeps every record', 'bounded memory'],
  ['queues sends of a lane', 'bounded memory'],
  ['does not come back', 'reconnect'],
  ['never gives up', 'reconnect'],
  ['does not wait for what is in flight', 'graceful stop'],
  ['takes sends after its stop', 'graceful stop'],
  ['acknowledges without an answer', 'ambiguity'],
  ['stores repeats that it says it does not', 'no repeats'],
];

async function kindOf(name: string, subject: SinkSubject): Promise<string> {
  const property = SINK_PROPERTIES.find((each) => each.name === name);
  return property === undefined ? 'no such property' : (await verdictOf(property, subject)).kind;
}

describe('the conformance suite', () => {
  it.each(SINK_PROPERTIES)('passes a sound sink: $name', async (property) => {
    expect(await verdictOf(property, memorySubject())).toEqual({ kind: 'passed', seen: expect.any(String) });
  });

  it.each(FOUND_BY)('finds a sink that %s, by %s', async (rule, property) => {
    expect(await kindOf(property, memorySubject(rule))).toBe('failed');
  });

  it('has a broken rule for each of its properties', () => {
    const properties = new Set(FOUND_BY.map(([, property]) => property));
    expect([...properties].sort()).toEqual(SINK_PROPERTIES.map(({ name }) => name).sort());
  });

  it('passes nothing that a sink does not promise', async () => {
    const sound = memorySubject();
    const modest: SinkSubject = {
      ...sound,
      create: () => modestPort(sound),
      slowDown: 'all lanes share one connection',
    };
    for (const name of ['order per key', 'read back', 'a slow lane', 'no repeats']) {
      expect(await kindOf(name, modest)).toBe('not promised');
    }
  });
});

/** Declares less, and cannot be read. */
function modestPort(subject: SinkSubject): ReturnType<SinkSubject['create']> {
  const sink = subject.create();
  return {
    kind: sink.kind,
    features: { ...sink.features, isOrdered: false, isDeduplicating: false },
    start: () => sink.start(),
    openTopic: (topic) => sink.openTopic(topic),
    send: (lane, records) => sink.send(lane, records),
    stop: () => sink.stop(),
  };
}
