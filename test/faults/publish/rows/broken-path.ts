import { setTimeout as sleep } from 'node:timers/promises';
import { type LinkFault } from '@millrace/testing';
import { someLeader } from '../broker-faults.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';
import { begin, checkMemory, isTold, LANE_LIMIT_MS } from '../publish-scene.js';

const BYTES_PER_SECOND = 50_000;
const SLOW_MS = 20_000;
const LOST_MS = 10_000;
const APART_MS = 20_000;
/** Of a Produce request: in its length, its header, the header of its batch, its records, and far behind. */
const CUTS = [1, 3, 8, 20, 60, 120, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000];
const CUT_MS = 1_500;
/**
 * Of the lanes that a broken one must not hold up. With kafkajs all lanes share a client that is thrown away when a send has
 * no answer, and the next one may try the broker that is away first: there it is the limit of every lane.
 */
const OTHERS_LIMIT_MS = { platformatic: 5_000, kafkajs: LANE_LIMIT_MS } as const;

/** Between the relay and all brokers. */
function setAll({ cluster }: PublishScene, fault: LinkFault): void {
  cluster.nodes.forEach(({ proxy }) => {
    proxy.set(fault);
  });
}

function healAll({ cluster }: PublishScene): void {
  cluster.nodes.forEach(({ proxy }) => {
    proxy.heal();
  });
}

export const SLOW_SINK: PublishRow = {
  id: '9',
  title: `a path of ${BYTES_PER_SECOND / 1_000} kB/s to each broker for ${SLOW_MS / 1_000} s: memory stays bounded`,
  async run(scene) {
    await begin(scene, scene.eventsPerSecond);
    setAll(scene, { kind: 'throttle', bytesPerSecond: BYTES_PER_SECOND });
    await sleep(SLOW_MS);
    checkMemory(scene);
    healAll(scene);
    await scene.world.recovers('the path was wide again');
    scene.lanes.end();
  },
};

export const ACKS_LOST: PublishRow = {
  id: '35',
  title: `requests pass, responses of all brokers are dropped for ${LOST_MS / 1_000} s`,
  async run(scene) {
    await begin(scene);
    const told = isTold(scene);
    setAll(scene, { kind: 'drop', direction: 'to-client' });
    await sleep(LOST_MS);
    healAll(scene);
    await told;
    await scene.world.recovers('answers came again');
    scene.lanes.end();
  },
};

export const CUT_IN_REQUEST: PublishRow = {
  id: '36',
  title: `connections cut in the middle of a request, after ${CUTS[0]} to ${CUTS.at(-1)} bytes (${CUTS.length} places)`,
  async run(scene) {
    await begin(scene);
    for (const afterBytes of CUTS) {
      setAll(scene, { kind: 'cut', direction: 'to-server', afterBytes });
      await sleep(CUT_MS);
    }
    healAll(scene);
    await scene.world.recovers('the last cut');
    scene.lanes.end();
  },
};

/** The cluster is whole, so the leaders stay where they are. */
export const ONE_UNREACHABLE: PublishRow = {
  id: '37',
  title: `one broker of three unreachable for the relay only, for ${APART_MS / 1_000} s: the other lanes go on`,
  async run(scene) {
    const { world, cluster, topic, lanes } = scene;
    await begin(scene);
    const node = await someLeader(scene);
    const states = await cluster.partitions(topic);
    const apart = states.filter(({ leader }) => leader === node.nodeId).map(({ partition }) => `${topic}/${partition}`);
    const told = isTold(scene);
    node.proxy.set({ kind: 'blackhole' });
    await sleep(APART_MS);
    lanes.end();
    node.proxy.heal();
    await told;
    const others = lanes.longestOf((lane) => !apart.includes(lane));
    world.note(
      `${apart.length} lanes apart; the others waited for ${((others?.ms ?? 0) / 1_000).toFixed(1)} s at most`,
    );
    if (others === undefined || others.ms > OTHERS_LIMIT_MS[world.setup.client]) {
      world.found(
        'late',
        `lane ${others?.lane ?? ''}, of another broker, had no acknowledgement for ${Math.round(others?.ms ?? 0)} ms`,
      );
    }
    await world.recovers('the broker was reachable again');
  },
};
