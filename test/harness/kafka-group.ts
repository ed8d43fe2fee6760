import { topicOffsets } from '@millrace/testing';
import { Admin } from '@platformatic/kafka';

/** A consumer group on one topic, as an administrator sees it. */
export class KafkaGroup {
  private readonly admin: Admin;

  constructor(
    private readonly brokers: readonly string[],
    readonly group: string,
    readonly topic: string,
  ) {
    this.admin = new Admin({ clientId: 'millrace-run', bootstrapBrokers: [...brokers], connectTimeout: 2_000 });
  }

  /** The group's offset of each partition that has one. */
  async committed(): Promise<ReadonlyMap<number, bigint>> {
    const [listed] = await this.admin.listConsumerGroupOffsets({ groups: [this.group] });
    const partitions = listed?.topics.find(({ name }) => name === this.topic)?.partitions ?? [];
    return new Map(
      partitions
        .filter(({ committedOffset }) => committedOffset >= 0n)
        .map(({ partitionIndex, committedOffset }) => [partitionIndex, committedOffset]),
    );
  }

  /** Records that the group has not committed yet. */
  async lag(): Promise<number> {
    const committed = await this.committed();
    const offsets = await topicOffsets(this.brokers, this.topic);
    return offsets.reduce(
      (sum, { partition, first, end }) => sum + Number(end - (committed.get(partition) ?? first)),
      0,
    );
  }

  /** Sends the group back to the first record of each partition. It must have no members. */
  async resetToEarliest(): Promise<void> {
    const offsets = await topicOffsets(this.brokers, this.topic);
    const partitionOffsets = offsets.map(({ partition, first }) => ({ partition, offset: first }));
    await this.admin.alterConsumerGroupOffsets({
      groupId: this.group,
      topics: [{ name: this.topic, partitionOffsets }],
    });
  }

  /** Deletes the records below these offsets, as retention does. */
  async deleteRecordsBelow(firsts: ReadonlyMap<number, bigint>): Promise<void> {
    const partitions = [...firsts].map(([partition, offset]) => ({ partition, offset }));
    await this.admin.deleteRecords({ topics: [{ name: this.topic, partitions }] });
  }

  async close(): Promise<void> {
    await this.admin.close();
  }
}
