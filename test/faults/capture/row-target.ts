import { type ConsumedRecord, consoleConsume, createTopic } from '@millrace/testing';

/** Where the routes of a row publish to. */
export interface RowTarget {
  /** The relays' sink, as in their configuration; topics on their Kafka when left out. */
  readonly sink?: Readonly<Record<string, unknown>> | undefined;
  /** More of the relays' environment. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  makeTopic(topic: string): Promise<void>;
  /** All that has arrived there, read by a consumer of its own. Called when nothing more comes. */
  recordsOf(topic: string): Promise<readonly ConsumedRecord[]>;
}

/** How the topics of a row are made. */
export interface RowTopics {
  readonly partitions: number;
  readonly replicas?: number;
  readonly configs?: Readonly<Record<string, string>> | undefined;
}

const TOPICS: RowTopics = { partitions: 4 };

/** Topics of Kafka. `brokers` are the harness's own; the relays may be given others, behind proxies. */
export function kafkaTarget(brokers: () => readonly string[], topics = TOPICS): RowTarget {
  return {
    makeTopic: async (topic) => createTopic({ ...topics, brokers: brokers(), topic }),
    recordsOf: async (topic) => consoleConsume({ brokers: brokers(), topic }),
  };
}
