export { SINK_PROPERTIES, type SinkVerdict, verdictOf } from './conformance/sink-conformance.js';
export type { SinkProperty } from './conformance/sink-property.js';
export type { OpenedSink, SinkScene } from './conformance/sink-scene.js';
export {
  CONFORMANCE_DRAIN_MS,
  type PoisonedTopic,
  type SinkFaults,
  type SinkSubject,
  type SlowDown,
  type SlowLanes,
} from './conformance/sink-subject.js';
export { type ConsoleConsumeOptions, consoleConsume } from './console-consumer.js';
export type { ConsumedRecord } from './console-output.js';
export { FaultProxy, type FaultProxyOptions, type WhichLinks } from './fault-proxy.js';
export { freePort, isPortFree } from './free-port.js';
export type { BatchEntry, EntryFailure, HttpFault, ProxiedRequest } from './http-fault.js';
export { type ChooseHttpFault, HttpFaultProxy } from './http-fault-proxy.js';
export { javaProgram } from './java.js';
export {
  alterTopic,
  createTopic,
  deleteTopic,
  listTopics,
  type PartitionOffsets,
  type TestTopicOptions,
  topicOffsets,
} from './kafka-admin.js';
export { moveLeaders, type PartitionState, partitionStates } from './kafka-leaders.js';
export { kafkaClassPath } from './kafka-libraries.js';
export type { KafkaVoter } from './kafka-properties.js';
export { leash, type Leash, type LeashOptions } from './leash.js';
export type { LinkDirection, LinkFault } from './link-fault.js';
export { LocalKafka, type LocalKafkaOptions } from './local-kafka.js';
export { type ClusterNode, LocalKafkaCluster, type LocalKafkaClusterOptions } from './local-kafka-cluster.js';
export { SECURED_LISTENERS, SecuredKafka, type SecuredListener } from './secured-kafka.js';
export {
  FAST_UNSAFE_SETTINGS,
  LocalPostgres,
  type LocalPostgresOptions,
  type PostgresStopMode,
} from './local-postgres.js';
export { LocalSqs, type SqsQueueContent } from './local-sqs.js';
export type { LinkClient } from './proxied-connection.js';
export { PostgresStandby } from './postgres-standby.js';
export { TemporaryPostgres } from './temporary-postgres.js';
export { createTestDatabase, type TestDatabase, type TestDatabaseOptions } from './test-database.js';
export { testKafkaBrokers, testPostgresUrl } from './test-environment.config.js';
export { type GivenServers, startTestServers, type TestServers } from './test-servers.js';
export { isProcessAlive } from './process-tree.js';
export { LocalServerError, type LocalServerErrorCode } from './testing.errors.js';
export { uniqueName } from './unique-name.js';
export { until } from './until.js';
