import { setTimeout as sleep } from 'node:timers/promises';
import { type ClusterNode } from '@millrace/testing';
import { freezeFor, inSyncAgain, killFor, someLeader } from '../broker-faults.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';
import { begin, checkLanes, isTold } from '../publish-scene.js';

const KILLS = 3;
const LEADER_KILLS = 4;
const PAUSE_MS = 2_000;
const ZOMBIE_MS = 20_000;
const AWAY_MS = 20_000;
/** Session of a broker, the election, and what was on its way: from then on nothing can be acknowledged. */
const GONE_AFTER_MS = 8_000;

export const ONLY_BROKER_KILLED: PublishRow = {
  id: '31',
  title: 'the only broker SIGKILLed and started again, three times',
  nodes: 1,
  async run(scene) {
    await begin(scene);
    for (let kill = 0; kill < KILLS; kill += 1) {
      const told = isTold(scene);
      await killFor(scene.cluster.node(1));
      await told;
      await scene.world.recovers('SIGKILL of the broker');
    }
    scene.lanes.end();
  },
};

export const LEADERS_KILLED: PublishRow = {
  id: '32',
  title: 'the leader of a random partition SIGKILLed, four times, pages over twelve partitions',
  async run(scene) {
    await begin(scene);
    for (let kill = 0; kill < LEADER_KILLS; kill += 1) {
      await killFor(await someLeader(scene));
      await inSyncAgain(scene);
      await sleep(PAUSE_MS);
    }
    checkLanes(scene);
    await scene.world.recovers('the last SIGKILL of a leader');
  },
};

/** Others lead its partitions meanwhile; when it wakes up it must not acknowledge what only it has. */
export const ZOMBIE_LEADER: PublishRow = {
  id: '33',
  title: 'the leader of a random partition frozen for 20 s; it goes on as a zombie',
  async run(scene) {
    await begin(scene);
    const told = isTold(scene);
    await freezeFor(await someLeader(scene), ZOMBIE_MS);
    await told;
    await inSyncAgain(scene);
    checkLanes(scene);
    await scene.world.recovers('SIGCONT');
  },
};

/** Nothing may be acknowledged from when the brokers are known to be gone until they are back. */
async function noFalseAcks(scene: PublishScene, away: readonly ClusterNode[]): Promise<void> {
  const { world, lanes } = scene;
  const told = isTold(scene);
  await Promise.all(away.map(async ({ kafka }) => kafka.kill()));
  await sleep(GONE_AFTER_MS);
  const before = { acknowledged: lanes.acknowledged, low: await lowOf(scene) };
  await sleep(AWAY_MS - GONE_AFTER_MS);
  const after = { acknowledged: lanes.acknowledged, low: await lowOf(scene) };
  if (after.acknowledged > before.acknowledged || after.low !== before.low) {
    world.found('other', `the ledger went from ${before.low} to ${after.low} while nothing could be acknowledged`);
  }
  await told;
  await Promise.all(away.map(async ({ kafka }) => kafka.start()));
  await inSyncAgain(scene);
  lanes.end();
  await world.recovers('the brokers were back');
}

async function lowOf({ world }: PublishScene): Promise<string> {
  const [row] = await world.query<{ low: string }>('select min(low)::text as low from millrace.ledger');
  return row?.low ?? '';
}

export const TOO_FEW_IN_SYNC: PublishRow = {
  id: '34',
  title:
    'fewer replicas in sync than min.insync.replicas (3, one broker killed) for 20 s (the matrix says 30): no false acknowledgement',
  topicConfigs: { 'min.insync.replicas': '3' },
  async run(scene) {
    await begin(scene);
    await noFalseAcks(scene, [await someLeader(scene)]);
  },
};

export const QUORUM_LOST: PublishRow = {
  id: '40',
  title: 'two of three brokers, and with them the quorum of the controllers, killed for 20 s',
  async run(scene) {
    await begin(scene);
    const first = scene.world.random.below(scene.cluster.nodes.length);
    await noFalseAcks(
      scene,
      scene.cluster.nodes.filter((_, index) => index !== first),
    );
  },
};
