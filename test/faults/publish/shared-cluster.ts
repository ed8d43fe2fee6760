import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { deleteTopic, listTopics, LocalKafkaCluster } from '@millrace/testing';

const IN_SYNC_MS = 30_000;

/**
 * A Kafka that the rows have one after the other, because starting three brokers takes longer than many a fault. A row
 * that fails, needs another number of brokers, or leaves one that is not whole, costs a new one.
 */
export class SharedCluster {
  private current: LocalKafkaCluster | undefined;
  private folder = '';

  /** The running one, where it has so many brokers; else a new one with its data in the folder. */
  async take(folder: string, nodes: number): Promise<LocalKafkaCluster> {
    if (this.current?.nodes.length !== nodes) {
      await this.stop();
      this.folder = folder;
      this.current = await LocalKafkaCluster.start({ folder, nodes, heapMb: 512, isQuickStart: true });
    }
    return this.current;
  }

  /** A row has ended. What it has put there is removed; a Kafka that is not as it was before is stopped. */
  async giveBack(isPassed: boolean): Promise<void> {
    const isWhole = isPassed && (await this.cleaned().catch(() => false));
    if (!isWhole) {
      await this.stop();
    }
  }

  async stop(): Promise<void> {
    const cluster = this.current;
    this.current = undefined;
    await cluster?.stop();
    for (const { nodeId } of cluster?.nodes ?? []) {
      rmSync(join(this.folder, `kafka-${nodeId}`), { recursive: true, force: true });
    }
  }

  private async cleaned(): Promise<boolean> {
    const cluster = this.current;
    if (cluster === undefined || !cluster.nodes.every(({ isUp }) => isUp)) {
      return false;
    }
    cluster.nodes.forEach(({ proxy }) => {
      proxy.heal();
    });
    for (const topic of await listTopics(cluster.directBrokers)) {
      if (!(await cluster.isInSync(topic, IN_SYNC_MS))) {
        return false;
      }
      await deleteTopic(cluster.directBrokers, topic);
    }
    return true;
  }
}
