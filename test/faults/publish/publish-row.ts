import { type LocalKafkaCluster } from '@millrace/testing';
import { type RowWorld } from '../capture/row-world.js';
import { type LaneClock } from './lane-clock.js';

/** What a row works with. */
export interface PublishScene {
  readonly row: PublishRow;
  /** PostgreSQL, relays, load and findings. */
  readonly world: RowWorld;
  readonly cluster: LocalKafkaCluster;
  readonly lanes: LaneClock;
  /** Of the row's route. */
  readonly topic: string;
  /** How long a row that goes on and on does so. */
  readonly seconds: number;
  readonly eventsPerSecond: number;
  /** The programs of the tests, on the copy of the libraries that the relays run on. */
  readonly programs: string;
}

/** A row of the matrix whose fault is on the side of Kafka, or between it and the relay. */
export interface PublishRow {
  /** As `32` or `D3a`. */
  readonly id: string;
  readonly title: string;
  /** 3 when left out. */
  readonly nodes?: 1 | 3;
  /** 12 when left out. */
  readonly partitions?: number;
  readonly topicConfigs?: Readonly<Record<string, string>>;
  /** One when left out. */
  readonly routes?: readonly string[];
  readonly areRoutesInOneTopic?: boolean;
  /** No relay, but a sender that is known to lose: the row passes when that is found. */
  readonly isControl?: boolean;
  /**
   * Starts the relays and the load, does the fault and looks at what only this row knows; what is wrong goes to
   * `world.found`. Afterwards the load is ended and everything that was committed is held against the topics.
   */
  run(scene: PublishScene): Promise<void>;
}
