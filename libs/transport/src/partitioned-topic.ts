import { partitionOfKey } from './murmur2.js';
import { type SinkLane, type SinkTopic } from './sink-port.js';
import { SinkError } from './transport.errors.js';

const LEGAL_NAME = /^[a-zA-Z0-9._-]{1,249}$/;

/** Throws `SinkError` `configuration` for what is no name of a topic by Kafka's rule. */
export function assertTopicName(name: string): void {
  if (!LEGAL_NAME.test(name) || name === '.' || name === '..') {
    throw new SinkError(
      'configuration',
      `"${name.slice(0, 260)}" is no legal topic name: use 1 to 249 letters, digits, dots, underscores and hyphens.`,
    );
  }
}

/** A topic with a lane for each of its partitions; a key is placed as Kafka's Java client places it. */
export class PartitionedTopic implements SinkTopic {
  readonly lanes: readonly SinkLane[];

  constructor(
    readonly name: string,
    partitions: number,
  ) {
    this.lanes = Array.from({ length: partitions }, (_, partition) => ({
      id: `${name}/${partition}`,
      topic: name,
      partition,
    }));
  }

  laneOf(key: Buffer): SinkLane {
    const lane = this.lanes[partitionOfKey(key, this.lanes.length)];
    if (lane === undefined) {
      throw new Error(`Topic ${this.name} has no partitions.`);
    }
    return lane;
  }
}
