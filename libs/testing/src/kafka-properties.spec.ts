import { describe, expect, it } from '@jest/globals';
import { kafkaSettings, propertiesText } from './kafka-properties.js';

describe('the settings of a Kafka node', () => {
  it('make a single node its own quorum without replicas', () => {
    const settings = kafkaSettings({
      nodeId: 1,
      port: 9092,
      controllerPort: 9093,
      voters: [{ nodeId: 1, controllerPort: 9093 }],
      dataDir: '/data/k1',
    });
    expect(settings).toMatchObject({
      'controller.quorum.voters': '1@127.0.0.1:9093',
      'advertised.listeners': 'PLAINTEXT://127.0.0.1:9092',
      'offsets.topic.replication.factor': 1,
      'min.insync.replicas': 1,
      'auto.create.topics.enable': 'false',
    });
  });

  it('make one of three nodes survive the loss of another, behind its proxy', () => {
    const voters = [1, 2, 3].map((nodeId) => ({ nodeId, controllerPort: 9090 + nodeId }));
    const node = { nodeId: 2, port: 9192, controllerPort: 9092, advertisedPort: 19_192, voters, dataDir: '/data/k2' };
    expect(kafkaSettings({ ...node, settings: { 'message.max.bytes': 100 } })).toMatchObject({
      'controller.quorum.voters': '1@127.0.0.1:9091,2@127.0.0.1:9092,3@127.0.0.1:9093',
      'advertised.listeners': 'PLAINTEXT://127.0.0.1:19192',
      'offsets.topic.replication.factor': 3,
      'min.insync.replicas': 2,
      'message.max.bytes': 100,
    });
  });

  it('are written as Java reads them', () => {
    expect(propertiesText({ a: 1, path: 'C:\\kafka' })).toBe('a=1\npath=C:\\\\kafka\n');
  });
});
