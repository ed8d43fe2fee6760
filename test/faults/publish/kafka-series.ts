import { join } from 'node:path';
import { type KafkaClient } from '../../harness/relay-process.js';
import { kafkaTarget } from '../capture/row-target.js';
import { type RowVerdict } from '../capture/row-world.js';
import { attemptIn, type RowAttempt, type RowSeries } from './publish-faults.js';
import { type PublishRow } from './publish-row.js';
import { SharedCluster } from './shared-cluster.js';

const NODES = 3;
const PARTITIONS = 12;

/** The rows on Kafka, for one client. Each has a PostgreSQL of its own. */
export class KafkaSeries implements RowSeries<PublishRow> {
  readonly subject: string;
  private readonly shared = new SharedCluster();

  constructor(
    readonly rows: readonly PublishRow[],
    private readonly client: KafkaClient,
  ) {
    this.subject = `Kafka through ${client}`;
  }

  async attempt(row: PublishRow, given: RowAttempt): Promise<RowVerdict> {
    const cluster = await this.shared.take(given.folder, row.nodes ?? NODES);
    const topics = {
      partitions: row.partitions ?? PARTITIONS,
      replicas: cluster.nodes.length,
      configs: row.topicConfigs,
    };
    const setup = {
      ...given,
      row,
      client: this.client,
      brokers: cluster.brokers,
      relayMain: join(given.programs, '..', 'apps', 'relay', 'main.js'),
      target: kafkaTarget(() => cluster.directBrokers, topics),
    };
    return attemptIn(setup, async (world) => {
      const [topic = ''] = world.routes.map((route) => route.topic);
      await row.run({ ...given, row, world, cluster, topic });
      return row.isControl === true ? world.brokenOff() : world.verdict();
    });
  }

  async rowEnded(isPassed: boolean): Promise<void> {
    await this.shared.giveBack(isPassed);
  }

  async close(): Promise<void> {
    await this.shared.stop();
  }
}
