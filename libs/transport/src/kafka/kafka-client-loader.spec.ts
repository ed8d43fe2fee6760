import { describe, expect, it } from '@jest/globals';
import { assertClientVersion, assertNodeForPlatformatic, loadKafkaClient } from './kafka-client-loader.js';

const client = { name: 'kafkajs', version: '2.2.4' };

describe('a Kafka client package', () => {
  it('that is not installed is a sentence that says what to install', async () => {
    const missing = () => Promise.reject(Object.assign(new Error('text'), { code: 'ERR_MODULE_NOT_FOUND' }));

    await expect(loadKafkaClient(client, missing)).rejects.toMatchObject({
      code: 'configuration',
      message: 'The package kafkajs is not installed: npm install kafkajs@2.2.4.',
    });
  });

  it('that fails while it loads keeps its own error', async () => {
    await expect(loadKafkaClient(client, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });

  it('of another major is refused', () => {
    assertClientVersion(client, '2.9.0');
    expect(() => {
      assertClientVersion(client, '3.0.0');
    }).toThrow(/kafkajs is at 3\.0\.0.*npm install kafkajs@2\.2\.4/);
    expect(() => {
      assertClientVersion(client, undefined);
    }).toThrow(/kafkajs/);
  });

  it.each(['22.22.0', '22.23.1', '24.6.0', '24.21.0', '25.0.0', '26.1.0'])(
    'of platformatic runs on Node %s',
    (node) => {
      expect(() => {
        assertNodeForPlatformatic(node);
      }).not.toThrow();
    },
  );

  it.each(['20.20.2', '22.21.1', '23.11.0', '24.5.0'])('of platformatic refuses Node %s', (node) => {
    expect(() => {
      assertNodeForPlatformatic(node);
    }).toThrow(/this is Node .*kafkajs/);
  });
});
