import { setTimeout as sleep } from 'node:timers/promises';
import { type ClusterNode } from '@millrace/testing';
import { countText } from '../run-report.js';
import { type PublishScene } from './publish-row.js';

/** SIGKILL, and started again after a while; resolves when it runs. */
export async function killFor(node: ClusterNode, downMs = DOWN_MS): Promise<void> {
  await node.kafka.kill();
  await sleep(downMs);
  await node.kafka.start();
}

/** What is done to a broker; each is over when the broker runs again. */
const FAULTS = {
  SIGKILL: async (node: ClusterNode): Promise<void> => killFor(node),
  SIGTERM: async (node: ClusterNode): Promise<void> => {
    await node.kafka.stop();
    await node.kafka.start();
  },
  SIGSTOP: async (node: ClusterNode): Promise<void> => freezeFor(node, FREEZE_MS),
} as const;
type BrokerFault = keyof typeof FAULTS;

const DOWN_MS = 3_500;
const FREEZE_MS = 15_000;
const MOVE_EVERY_MS = 3_000;
const IN_SYNC_MS = 60_000;
const PAUSE_MS = 1_000;
/** In this mix, in an order that the seed decides. */
const ROUND: readonly BrokerFault[] = ['SIGKILL', 'SIGSTOP', 'SIGTERM'];

/** SIGSTOP, and SIGCONT after so long. */
export async function freezeFor(node: ClusterNode, ms: number): Promise<void> {
  node.freeze();
  await sleep(ms);
  node.thaw();
}

/** The broker that leads a partition that the seed chooses. */
export async function someLeader({ world, cluster, topic }: PublishScene): Promise<ClusterNode> {
  const states = await cluster.partitions(topic);
  const chosen = states[world.random.below(states.length)];
  return cluster.node(chosen?.leader ?? 1);
}

/** Waits for all replicas; false, and a finding, when they are not in sync in time. */
export async function inSyncAgain({ world, cluster, topic }: PublishScene): Promise<boolean> {
  const isInSync = await cluster.isInSync(topic, IN_SYNC_MS);
  if (!isInSync) {
    world.found('unmet', `the replicas were not in sync within ${IN_SYNC_MS / 1_000} s after a fault`);
  }
  return isInSync;
}

/**
 * One random broker after the other is killed, stopped in order and started, or frozen, for as long as the row goes
 * on; the next one when all replicas are in sync again, so that there is never more than one away.
 */
export async function brokersFail(scene: PublishScene): Promise<void> {
  const { world, cluster, seconds } = scene;
  const endMs = performance.now() + seconds * 1_000;
  const done: BrokerFault[] = [];
  let round: readonly BrokerFault[] = [];
  while (performance.now() < endMs) {
    round = round.length > 0 ? round : rotated(ROUND, world.random.below(ROUND.length));
    const [fault = 'SIGKILL', ...rest] = round;
    round = rest;
    const node = cluster.node(1 + world.random.below(cluster.nodes.length));
    await FAULTS[fault](node);
    done.push(fault);
    if (!(await inSyncAgain(scene))) {
      break;
    }
    await sleep(PAUSE_MS);
  }
  world.note(countText(done));
}

/** Leaders that are moved to random brokers every few seconds. */
export class LeaderMoves {
  private readonly stopping = new AbortController();
  private readonly moving: Promise<void>;
  private moved = 0;
  private previous: readonly number[] = [];

  private constructor(private readonly scene: PublishScene) {
    this.moving = this.move();
  }

  static start(scene: PublishScene): LeaderMoves {
    return new LeaderMoves(scene);
  }

  /** Resolves when the last move is over; says in the table how many partitions had another leader than before. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.moving;
    this.scene.world.note(`${this.moved} leader moves`);
    if (this.moved === 0) {
      this.scene.world.found('unmet', 'no leader was moved');
    }
  }

  private async move(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await sleep(MOVE_EVERY_MS, undefined, { signal }).catch(() => undefined);
      await this.moveOnce().catch(() => undefined); // a broker is away: the next time
    }
  }

  private async moveOnce(): Promise<void> {
    const { world, cluster, topic } = this.scene;
    const states = await cluster.partitions(topic);
    const leaders = states.map(({ leader }) => leader);
    this.moved += leaders.filter((leader, partition) => leader !== (this.previous[partition] ?? leader)).length;
    this.previous = leaders;
    const targets = states.map(({ partition, inSync, leader }): [number, number] => [
      partition,
      inSync[world.random.below(inSync.length)] ?? leader,
    ]);
    await cluster.moveLeaders(topic, new Map(targets));
  }
}

function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
  return [...items.slice(by), ...items.slice(0, by)];
}
