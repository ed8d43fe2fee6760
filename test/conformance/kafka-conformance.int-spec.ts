import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { LocalKafkaCluster } from '@millrace/testing';
import { KAFKA_CLIENTS } from '@millrace/transport';
import { itConforms } from './it-conforms.js';
import { kafkaSubject } from './kafka-subject.js';

describe('a sink for Kafka of one node conforms', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-conformance-'));
  let cluster: LocalKafkaCluster;

  beforeAll(async () => {
    chmodSync(folder, 0o755);
    cluster = await LocalKafkaCluster.start({ folder, nodes: 1, isQuickStart: true });
  });

  afterAll(async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  describe.each(KAFKA_CLIENTS)('on %s', (client) => {
    itConforms(
      () => kafkaSubject(cluster, client),
      client === 'kafkajs' ? ['a slow lane', 'no repeats'] : ['a slow lane'],
    );
  });
});
