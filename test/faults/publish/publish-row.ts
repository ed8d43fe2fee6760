import { type LocalKafkaCluster } from '@millrace/testing';
import { type RowWorld } from '../capture/row-world.js';
import { type LaneClock } from './lane-clock.js';

/** What every row of publishing says of itself. */
export interface RowDescription {
  /** As `32` or `D3a`. */
  readonly id: string;
  readonly title: string;
  /** Of its topic; lanes, where that has none. 12 when left out. */
  readonly partitions?: number;
  /** Something that is known to be wrong: the row passes when that is found. */
  readonly isControl?: boolean;
}

/** What every row of publishing works with. */
export interface RowScene {
  readonly row: RowDescription;
  /** PostgreSQL, relays, load and findings. */
  readonly world: RowWorld;
  readonly lanes: LaneClock;
  /** Of the row's route. */
  readonly topic: string;
  /** How long a row that goes on and on does so. */
  readonly seconds: number;
  readonly eventsPerSecond: number;
  /** Of the row that kills relays again and again. */
  readonly kills: number;
  /** The programs of the tests, on the copy of the libraries that the relays run on. */
  readonly programs: string;
}

/** What a row on Kafka works with. */
export interface PublishScene extends RowScene {
  readonly row: PublishRow;
  readonly cluster: LocalKafkaCluster;
}

/** A row of the matrix whose fault is on the side of Kafka, or between it and the relay. */
export interface PublishRow extends RowDescription {
  /** 3 when left out. */
  readonly nodes?: 1 | 3;
  readonly topicConfigs?: Readonly<Record<string, string>>;
  /** One when left out. */
  readonly routes?: readonly string[];
  readonly areRoutesInOneTopic?: boolean;
  /**
   * Starts the relays and the load, does the fault and looks at what only this row knows; what is wrong goes to
   * `world.found`. Afterwards the load is ended and everything that was committed is held against the topics. A control
   * has no relay and says what it found.
   */
  run(scene: PublishScene): Promise<void>;
}
