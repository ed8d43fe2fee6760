import { type CaptureMode, type RetentionPolicy } from '@millrace/capture';
import { type RouteConfig } from '@millrace/relay';
import { type KafkaSinkOptions, type PostgresSinkOptions, type SqsSinkOptions } from '@millrace/transport';

/** Everything that the engine is built from, checked. Holds secrets: never to be logged as a whole. */
export interface RelayConfig {
  readonly sources: readonly SourceConfig[];
  readonly sinks: readonly SinkConfig[];
  readonly routes: readonly RouteConfig[];
}

/** One database with an outbox. */
export interface SourceConfig {
  readonly name: string;
  readonly databaseUrl: string;
  /** How its routes learn of new rows, unless an operator has said otherwise. */
  readonly capture: CaptureMode;
  /** How long its rows stay; for ever when it is not there. */
  readonly retention?: RetentionConfig;
}

/** How long rows stay in an outbox. */
export interface RetentionConfig {
  readonly policy: RetentionPolicy;
  /** Leaves are written there before they are emptied. */
  readonly archiveDirectory: string | null;
}

/** Where routes publish to. */
export type SinkConfig = { readonly name: string } & SinkOfKind;

/** A Kafka cluster, the database of a consumer, or queues of SQS. */
export type SinkOfKind =
  | { readonly kind: 'kafka'; readonly options: KafkaSinkOptions }
  | { readonly kind: 'postgres'; readonly options: PostgresSinkOptions }
  | { readonly kind: 'sqs'; readonly options: SqsSinkOptions };
