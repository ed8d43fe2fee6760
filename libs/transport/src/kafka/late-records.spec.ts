import { describe, expect, it } from '@jest/globals';
import { type KafkaTopicPolicy } from './kafka-config.js';
import { assertLateRecords, topicSettingsOf } from './late-records.js';

type Making = Extract<KafkaTopicPolicy, { readonly create: true }>;

function making(options: Partial<Making> = {}): Making {
  return { create: true, partitions: 6, replication: 3, ...options };
}

describe('topics that refuse late records', () => {
  it('have a limit in both directions, beside their other settings, by the time of the send', () => {
    expect(topicSettingsOf(making({ refuseOlderThanMs: 30_000, settings: { 'cleanup.policy': 'compact' } }))).toEqual({
      'cleanup.policy': 'compact',
      'message.timestamp.type': 'CreateTime',
      'message.timestamp.before.max.ms': '30000',
      'message.timestamp.after.max.ms': '30000',
    });
  });

  it('are made only where that is wanted', () => {
    expect(topicSettingsOf(making())).toEqual({});
    expect(topicSettingsOf(making({ settings: { 'message.timestamp.type': 'LogAppendTime' } }))).toEqual({
      'message.timestamp.type': 'LogAppendTime',
    });
    assertLateRecords(making(), 9_000);
    assertLateRecords({ create: false }, 9_000);
    assertLateRecords(making({ refuseOlderThanMs: 18_000 }), 9_000);
  });

  it.each([17_999, 86_400_001, 30_000.5, Number.NaN])('have no limit of %d ms', (refuseOlderThanMs) => {
    expect(() => {
      assertLateRecords(making({ refuseOlderThanMs }), 9_000);
    }).toThrow(/^topics\.refuseOlderThanMs is .* from 18000, twice requestTimeoutMs, to 86400000\.$/);
  });

  it('say in one place when a record is late', () => {
    const settings = { 'message.timestamp.type': 'LogAppendTime', 'retention.ms': '1' };
    expect(() => {
      assertLateRecords(making({ refuseOlderThanMs: 30_000, settings }), 9_000);
    }).toThrow('topics.settings has message.timestamp.type, which topics.refuseOlderThanMs sets');
  });
});
