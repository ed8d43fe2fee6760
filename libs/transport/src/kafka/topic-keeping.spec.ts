import { describe, expect, it } from '@jest/globals';
import { type HeldTopic, whyIncomplete } from './topic-keeping.js';

const HOUR_MS = 3_600_000;
const NOW = { nowMs: 100 * HOUR_MS, sinceMs: 99 * HOUR_MS };

function topic(settings: Record<string, string> | null, isFromStart = true): readonly HeldTopic[] {
  const known = { 'cleanup.policy': 'delete', 'retention.ms': '604800000', 'retention.bytes': '-1', ...settings };
  return [{ topic: 't', isFromStart, settings: settings === null ? null : new Map(Object.entries(known)) }];
}

describe('what was stored since a time is complete', () => {
  it.each([
    ['where an older record is still there', topic({ 'retention.ms': '1' }, false)],
    ['where an older record is still there and the settings are not known', topic(null, false)],
    ['where the topic keeps records for longer', topic({})],
    ['where the topic keeps records for ever', topic({ 'retention.ms': '-1' })],
    ['where there is no topic', []],
  ])('%s', (_, topics) => {
    expect(whyIncomplete(topics, NOW)).toBeNull();
  });
});

describe('what was stored since a time may lack records', () => {
  it.each([
    ['of a topic that keeps them for a shorter time', topic({ 'retention.ms': '3600000' }), /shorter time/],
    ['of a topic that keeps them up to a size', topic({ 'retention.bytes': '1000000' }), /up to a size/],
    ['of a topic whose settings may not be read', topic(null), /may not be read/],
    ['of a compacted topic', topic({ 'cleanup.policy': 'compact,delete' }, false), /compacted/],
  ])('%s', (_, topics, reason) => {
    expect(whyIncomplete(topics, NOW)).toMatch(reason);
    expect(whyIncomplete(topics, NOW)).toContain('Topic t ');
  });
});
