/** A controller that votes: every node of a local cluster is one. */
export interface KafkaVoter {
  readonly nodeId: number;
  readonly controllerPort: number;
}

/** What `server.properties` is made of. */
export interface KafkaNode {
  readonly nodeId: number;
  readonly port: number;
  readonly controllerPort: number;
  /** What clients are told to connect to: the port of a fault proxy, or `port`. */
  readonly advertisedPort?: number | undefined;
  /** All nodes of the cluster, this one too. */
  readonly voters: readonly KafkaVoter[];
  readonly dataDir: string;
  /** Broker settings that go above the defaults. */
  readonly settings?: Readonly<Record<string, string | number>> | undefined;
}

const HOST = '127.0.0.1';

/**
 * The settings of one node in KRaft mode with a fixed set of voters. Internal topics are on as many nodes as there are,
 * three at most.
 */
export function kafkaSettings(node: KafkaNode): Record<string, string | number> {
  const replicas = Math.min(node.voters.length, 3);
  const inSync = Math.max(1, replicas - 1);
  return {
    'process.roles': 'broker,controller',
    'node.id': node.nodeId,
    'controller.quorum.voters': node.voters.map((voter) => `${voter.nodeId}@${HOST}:${voter.controllerPort}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://${HOST}:${node.port},CONTROLLER://${HOST}:${node.controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${node.advertisedPort ?? node.port}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': node.dataDir,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': 1,
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'group.initial.rebalance.delay.ms': 0,
    'auto.create.topics.enable': 'false',
    'log.cleaner.dedupe.buffer.size': 2_097_152,
    // a broker that was killed may register again only when its old session is over
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
    'controller.quorum.election.timeout.ms': 500,
    'controller.quorum.fetch.timeout.ms': 1_000,
    'controller.quorum.election.backoff.max.ms': 100,
    ...node.settings,
  };
}

/** The text of a Java properties file. */
export function propertiesText(settings: Readonly<Record<string, string | number>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${String(value).replaceAll('\\', '\\\\')}\n`)
    .join('');
}
