import { Admin, ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka';
import { type PublishScene } from './publish-row.js';

const TIMEOUT_MS = 20_000;

/** Gives the topic of the scene more partitions. */
export async function growTopic(scene: PublishScene, partitions: number): Promise<void> {
  await withAdmin(scene, async (admin) =>
    admin.createPartitions({ topics: [{ name: scene.topic, count: partitions }] }),
  );
}

/** Changes one setting of the topic of the scene. */
export async function configureTopic(scene: PublishScene, name: string, value: string): Promise<void> {
  const set = { name, value, configOperation: IncrementalAlterConfigOperationTypes.SET };
  await withAdmin(scene, async (admin) =>
    admin.incrementalAlterConfigs({
      resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: scene.topic, configs: [set] }],
    }),
  );
}

/** Bytes that each broker takes from all clients of a name each second; `undefined` takes the limit away. */
export async function limitProducers(
  scene: PublishScene,
  clientId: string,
  bytesPerSecond: number | undefined,
): Promise<void> {
  const key = 'producer_byte_rate';
  const change =
    bytesPerSecond === undefined
      ? ({ key, remove: true } as const)
      : ({ key, value: bytesPerSecond, remove: false } as const);
  await withAdmin(scene, async (admin) =>
    admin.alterClientQuotas({
      entries: [{ entities: [{ entityType: 'client-id', entityName: clientId }], ops: [change] }],
    }),
  );
}

async function withAdmin(scene: PublishScene, work: (admin: Admin) => Promise<unknown>): Promise<void> {
  const admin = new Admin({
    clientId: 'millrace-faults',
    bootstrapBrokers: scene.cluster.directBrokers,
    timeout: TIMEOUT_MS,
  });
  try {
    await work(admin);
  } finally {
    await admin.close();
  }
}
