import { type CaptureMode } from '@millrace/capture';
import { type KafkaClient, type RelayRoute, type ReplacedRoute } from '../../harness/relay-process.js';
import { type DocumentedDifference } from './same-records.js';

/** How much is written, and from which seed. */
export interface ParityLoad {
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly seed: number;
}

/** One table that both read, each with its configuration. */
export interface ParityScenario {
  /** Names its database and its slot as well. */
  readonly name: string;
  /** What is compared, in a few words. */
  readonly about: string;
  readonly capture: CaptureMode;
  readonly client: KafkaClient;
  /** All that the rows can give; made before they are written, and nobody else's. */
  readonly topics: readonly string[];
  readonly topic: (RelayRoute | ReplacedRoute)['topic'];
  /** Settings of Debezium beside those that all scenarios share. */
  readonly debezium: Readonly<Record<string, string>>;
  /** Run when schema `millrace` is there and nobody reads yet. */
  prepare(databaseUrl: string): Promise<void>;
  /** Resolves when all is committed. */
  write(databaseUrl: string, load: ParityLoad): Promise<WrittenRows>;
  /** What may differ, and has to be seen. `printed`: JSON as jsonb prints it, by what Debezium has published. */
  differences(printed: ReadonlyMap<string, string>): readonly DocumentedDifference[];
}

/** What was written beside the rows that both publish, which are all of `millrace.outbox`. */
export interface WrittenRows {
  /** Of rows that our trigger refuses at the INSERT; another table had them, which only Debezium reads. Why, by id. */
  readonly refused: ReadonlyMap<string, string>;
}
