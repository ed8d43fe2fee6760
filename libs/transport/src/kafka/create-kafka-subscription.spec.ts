import { describe, expect, it } from '@jest/globals';
import { SinkError } from '../transport.errors.js';
import { createKafkaSubscription, type KafkaSubscriptionOptions } from './create-kafka-subscription.js';

const options: KafkaSubscriptionOptions = {
  client: 'platformatic',
  connection: { brokers: ['localhost:9092'] },
  groupId: 'inventory',
  topics: ['outbox.event.order'],
};

describe('the options of a Kafka subscription', () => {
  it('are enough with a client, brokers, a group and topics', async () => {
    const subscription = createKafkaSubscription(options);
    expect(subscription.status()).toEqual({ kind: 'idle' });
    await subscription.stop();
    expect(subscription.status()).toEqual({ kind: 'stopped' });
  });

  it.each([
    [{ groupId: '' }, 'groupId must have'],
    [{ topics: [] }, 'topics must name'],
    [{ topics: ['a', ''] }, 'topics must name'],
    [{ connection: { brokers: [] } }, 'connection.brokers must name'],
    [{ sessionTimeoutMs: 100 }, 'sessionTimeoutMs is 100 and must be a whole number from 6000 to 1800000.'],
    [{ heartbeatMs: 20_000 }, 'heartbeatMs is 20000'],
    [{ drainMs: 30_000 }, 'drainMs is 30000'],
    [{ fetchBytesMax: 1_000 }, 'fetchBytesMax is 1000'],
    [{ decompressedBytesMax: 1_000 }, 'decompressedBytesMax is 1000'],
    [{ maxWaitMs: 0.5 }, 'maxWaitMs is 0.5'],
    [{ commitIntervalMs: 0 }, 'commitIntervalMs is 0'],
    [{ missingTopicPollMs: 0 }, 'missingTopicPollMs is 0'],
  ])('are refused with %j', (wrong, message) => {
    const create = () => createKafkaSubscription({ ...options, ...wrong });
    expect(create).toThrow(SinkError);
    expect(create).toThrow(message);
  });

  it('that name a certificate which is not there let the start reject, and another start try again', async () => {
    const subscription = createKafkaSubscription({
      ...options,
      connection: { brokers: ['localhost:9092'], tls: { caPath: '/does/not/exist.pem' } },
    });
    const listener = { open: () => Promise.reject(new Error('never')) };
    await expect(subscription.start(listener)).rejects.toMatchObject({ code: 'configuration' });
    expect(subscription.status()).toEqual({ kind: 'idle' });
    await expect(subscription.start(listener)).rejects.toMatchObject({ code: 'configuration' });
    await subscription.stop();
  });
});
