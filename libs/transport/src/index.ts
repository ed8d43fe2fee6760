export type {
  ReadBackRequest,
  ReadBackResult,
  ReadTailsRequest,
  SinkFeatures,
  SinkHeader,
  SinkLane,
  SinkPort,
  SinkReceipt,
  SinkRecord,
  SinkTopic,
  TailEnd,
  TailFrom,
  TailStart,
} from './sink-port.js';
export type {
  AssignedPartition,
  DeliveredChunk,
  Delivery,
  PartitionReceiver,
  SubscriptionListener,
  SubscriptionPort,
  SubscriptionStatus,
} from './subscription-port.js';
export { SinkError } from './transport.errors.js';
export type { SinkErrorCode, SinkOutcome } from './transport.errors.js';
export { partitionOfKey } from './murmur2.js';
export { recordBytes } from './batch-limits.js';
export { createKafkaSink } from './kafka/create-kafka-sink.js';
export { KAFKA_CLIENTS, KAFKA_COMPRESSIONS, KAFKA_SASL_MECHANISMS, parseKafkaEnv } from './kafka/kafka-config.js';
export type {
  KafkaClientName,
  KafkaCompression,
  KafkaConnection,
  KafkaEnvironment,
  KafkaSasl,
  KafkaSaslMechanism,
  KafkaSinkOptions,
  KafkaTls,
  KafkaTopicPolicy,
} from './kafka/kafka-config.js';
export { createKafkaSubscription } from './kafka/create-kafka-subscription.js';
export type { KafkaSubscriptionOptions } from './kafka/create-kafka-subscription.js';
export { createPostgresSink } from './postgres/postgres-sink.js';
export { createPostgresSubscription } from './postgres/postgres-subscription.js';
export type { PostgresSinkOptions, PostgresSubscriptionOptions } from './postgres/postgres-config.js';
export type { SubscriptionEvent } from './kafka/subscription-events.js';
export type { TopicPartition } from './kafka/assign-partitions.js';
export { createSqsSink } from './sqs/create-sqs-sink.js';
export type { SqsSinkOptions } from './sqs/create-sqs-sink.js';
export { createSqsSubscription } from './sqs/create-sqs-subscription.js';
export type { SqsSubscriptionOptions } from './sqs/create-sqs-subscription.js';
export { problemOfQueueUrl } from './sqs/sqs-config.js';
export type { SqsConnection, SqsCredentials, SqsQueues } from './sqs/sqs-config.js';
export type { SqsSubscriptionEvent } from './sqs/sqs-subscription-events.js';
export { DirectoryPayloadStore } from './storage/directory-payload-store.js';
export { PayloadStoreError } from './storage/payload-store.js';
export type { PayloadPointer, PayloadStore, PayloadStoreErrorCode } from './storage/payload-store.js';
