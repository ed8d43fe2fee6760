import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from './fault-proxy.js';
import { freePort } from './free-port.js';
import { moveLeaders, type PartitionState, partitionStates } from './kafka-leaders.js';
import { LocalKafka } from './local-kafka.js';

/** How a cluster is run. */
export interface LocalKafkaClusterOptions {
  /** Has the data and the logs of each node. */
  readonly folder: string;
  /** 3 when left out. */
  readonly nodes?: number | undefined;
  /** Megabytes of Java heap for each; 400 when left out. */
  readonly heapMb?: number | undefined;
  readonly isQuickStart?: boolean | undefined;
  /** Broker settings that go above the defaults. */
  readonly settings?: Readonly<Record<string, string | number>> | undefined;
}

const HOST = '127.0.0.1';
const POLL_MS = 100;

/**
 * One broker of a cluster. Clients that begin at its proxy stay behind the proxies; brokers reach each other, and
 * tests the brokers, past them.
 */
export class ClusterNode {
  private isStopped = false;

  constructor(
    readonly nodeId: number,
    readonly kafka: LocalKafka,
    readonly proxy: FaultProxy,
    /** Past the proxy. */
    readonly address: string,
  ) {}

  /** Whether it can answer: it runs, and is not frozen. */
  get isUp(): boolean {
    return this.kafka.isRunning && !this.isStopped;
  }

  /** SIGSTOP: its connections stay open, and nothing answers. */
  freeze(): void {
    process.kill(this.kafka.pid, 'SIGSTOP');
    this.isStopped = true;
  }

  /** SIGCONT. */
  thaw(): void {
    if (this.isStopped) {
      process.kill(this.kafka.pid, 'SIGCONT');
      this.isStopped = false;
    }
  }
}

/**
 * A real Kafka of several nodes on 127.0.0.1, each broker and controller at once, with a `FaultProxy` before each. What
 * `LocalKafka` guarantees holds for every node.
 */
export class LocalKafkaCluster {
  private constructor(readonly nodes: readonly ClusterNode[]) {}

  /** Resolves when every broker answers. A port that another process was given meanwhile costs a second try. */
  static async start(options: LocalKafkaClusterOptions): Promise<LocalKafkaCluster> {
    try {
      return await LocalKafkaCluster.startOnce(options);
    } catch (first) {
      return LocalKafkaCluster.startOnce(options).catch((second: unknown) => {
        throw new AggregateError([first, second], 'The nodes of a Kafka have not started, twice.');
      });
    }
  }

  private static async startOnce(options: LocalKafkaClusterOptions): Promise<LocalKafkaCluster> {
    const { nodes: count = 3 } = options;
    const ports: NodePorts[] = [];
    for (let nodeId = 1; nodeId <= count; nodeId += 1) {
      ports.push({ nodeId, port: await freePort(), controllerPort: await freePort(), innerPort: await freePort() });
    }
    const nodes: ClusterNode[] = [];
    const cluster = new LocalKafkaCluster(nodes);
    try {
      for (const own of ports) {
        nodes.push(await makeNode(own, ports, options));
      }
      await allStarted(nodes);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** For the clients under test: the proxies. */
  get brokers(): string[] {
    return this.nodes.map(({ proxy }) => `${HOST}:${proxy.port}`);
  }

  /** For the test itself: the brokers that are up, past the proxies. */
  get directBrokers(): string[] {
    return this.nodes.filter(({ isUp }) => isUp).map(({ address }) => address);
  }

  /** Rejects when there is no such node. */
  node(nodeId: number): ClusterNode {
    const node = this.nodes.find((each) => each.nodeId === nodeId);
    if (node === undefined) {
      throw new Error(`The cluster has no node ${nodeId}.`);
    }
    return node;
  }

  /** The partitions of a topic as a broker that is up knows them. */
  async partitions(topic: string): Promise<PartitionState[]> {
    return partitionStates(this.directBrokers, topic);
  }

  /** See `moveLeaders`. */
  async moveLeaders(topic: string, leaders: ReadonlyMap<number, number>): Promise<void> {
    await moveLeaders(this.directBrokers, topic, leaders);
  }

  /** Resolves to true as soon as every replica of the topic is in sync, to false when that is not so in time. */
  async isInSync(topic: string, withinMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + withinMs;
    while (performance.now() < deadlineMs) {
      // it rejects while a leader is being elected
      const states = await this.partitions(topic).catch(() => []);
      const isWhole = states.every(({ leader, inSync, replicas }) => leader >= 0 && inSync.length === replicas.length);
      if (states.length > 0 && isWhole) {
        return true;
      }
      await sleep(POLL_MS);
    }
    return false;
  }

  /** Kills the nodes, whose data is not looked at again, and ends the proxies. */
  async stop(): Promise<void> {
    await Promise.all(
      this.nodes.map(async ({ kafka, proxy }) => {
        await (kafka.isRunning ? kafka.kill() : undefined);
        await proxy.stop();
      }),
    );
  }
}

/** Rejects when each has started or failed: only then does `stop` find all that there is. */
async function allStarted(nodes: readonly ClusterNode[]): Promise<void> {
  const starts = await Promise.allSettled(nodes.map(async ({ kafka }) => kafka.start()));
  const failed = starts.find((start) => start.status === 'rejected');
  if (failed !== undefined) {
    throw failed.reason;
  }
}

interface NodePorts {
  readonly nodeId: number;
  readonly port: number;
  readonly controllerPort: number;
  /** Of the listener that is advertised as it is. */
  readonly innerPort: number;
}

async function makeNode(
  own: NodePorts,
  all: readonly NodePorts[],
  { folder, heapMb, isQuickStart, settings }: LocalKafkaClusterOptions,
): Promise<ClusterNode> {
  const { nodeId, port, controllerPort, innerPort } = own;
  const proxy = await FaultProxy.start({ target: { port }, protocol: 'any' });
  const kafka = new LocalKafka({
    dataDir: join(folder, `kafka-${nodeId}`),
    port,
    controllerPort,
    cluster: { nodeId, voters: all },
    heapMb,
    isQuickStart,
    temporaryDir: folder,
    settings: {
      listeners: `PLAINTEXT://${HOST}:${port},INNER://${HOST}:${innerPort},CONTROLLER://${HOST}:${controllerPort}`,
      'advertised.listeners': `PLAINTEXT://${HOST}:${proxy.port},INNER://${HOST}:${innerPort},CONTROLLER://${HOST}:${controllerPort}`,
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,INNER:PLAINTEXT',
      'inter.broker.listener.name': 'INNER',
      ...settings,
    },
  });
  return new ClusterNode(nodeId, kafka, proxy, `${HOST}:${innerPort}`);
}
