import { join } from 'node:path';
import { peakMemoryMiB } from '../../harness/process-usage.js';
import { type RelayProcess, type RelayRoute } from '../../harness/relay-process.js';
import { type RowScene } from './publish-row.js';
import { SteadyLoad } from './steady-load.js';

/** The longest that a lane may wait for an acknowledgement while one broker is away. */
export const LANE_LIMIT_MS = 12_000;
const MEMORY_LIMIT_MIB = 512;
const START_MS = 60_000;
/** Of a row that is not about how much can be published. */
const ROW_RATE = 500;
const TOLD_MS = 10_000;

/** What a relay is given beside what all have. */
export interface RelayExtras {
  readonly preload?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly routes?: readonly RelayRoute[];
  readonly onLine?: (line: string) => void;
}

/** Starts a relay that tells when its lanes are acknowledged. */
export async function startRelay(
  { world, lanes, programs }: RowScene,
  name = 'relay',
  { preload = [], environment = {}, routes = world.routes, onLine }: RelayExtras = {},
): Promise<RelayProcess> {
  const modules = ['lane-acks', ...preload].map((each) => join(programs, 'faults', 'preload', `${each}.js`));
  return world.startRelay(name, {
    environment,
    routes,
    nodeArguments: ['--enable-source-maps', ...modules.map((file) => `--import=${file}`)],
    onLine: (line) => {
      lanes.heard(line);
      onLine?.(line);
    },
  });
}

/** One relay at work under the steady load; the clock of its lanes runs. */
export async function begin(scene: RowScene, eventsPerSecond?: number): Promise<SteadyLoad> {
  await startRelay(scene);
  return beginLoad(scene, eventsPerSecond);
}

/** The steady load, until it is published; then the clock of the lanes runs. */
export async function beginLoad(scene: RowScene, eventsPerSecond = ROW_RATE): Promise<SteadyLoad> {
  const { world, lanes, topic, row } = scene;
  const load = await SteadyLoad.start({ databaseUrl: world.databaseUrl, seed: world.setup.seed, eventsPerSecond });
  world.takeLoad(load);
  if ((await world.settles(START_MS)) === undefined) {
    throw new Error(`Nothing was published within ${START_MS} ms of the start.`);
  }
  await world.streams(START_MS);
  lanes.begin(Array.from({ length: row.partitions ?? 12 }, (_, partition) => `${topic}/${partition}`));
  return load;
}

/** Ends the clock of the lanes: none may have waited longer than is promised. */
export function checkLanes({ world, lanes }: RowScene, limitMs = LANE_LIMIT_MS): void {
  lanes.end();
  const gap = lanes.longest;
  if (gap === undefined || gap.ms > limitMs) {
    world.found(
      'late',
      `lane ${gap?.lane ?? 'of every partition'} had no acknowledgement for ${Math.round(gap?.ms ?? 0)} ms`,
    );
  }
}

/** What the relay has had resident at most is to stay within its bound. */
export function checkMemory({ world }: RowScene, name = 'relay'): void {
  const peakMiB = Math.round(peakMemoryMiB(world.relay(name).pid));
  world.note(`most memory ${peakMiB} MiB`);
  if (peakMiB > MEMORY_LIMIT_MIB) {
    world.found('bounded', `the relay had ${peakMiB} MiB resident, more than ${MEMORY_LIMIT_MIB}`);
  }
}

/**
 * Within ten seconds of a fault the relay is to show it: it counts failed sends, or a send that is getting old, or does
 * not say that it is ready. Resolves when that time is over or it has shown it.
 */
export async function isTold({ world }: RowScene, name = 'relay'): Promise<void> {
  const relay = world.relay(name);
  const failedBefore = (await relay.metric(SEND_ERRORS)) ?? 0;
  const isShown = await world.holds(TOLD_MS, async () => {
    const failed = (await relay.metric(SEND_ERRORS)) ?? 0;
    const oldestSeconds = (await relay.metric(OLDEST_SEND)) ?? 0;
    return failed > failedBefore || oldestSeconds >= OLD_SEND_SECONDS || !(await relay.isReady());
  });
  if (!isShown) {
    world.found('told', `neither metrics nor readiness of the relay showed the fault within ${TOLD_MS / 1_000} s`);
  }
}

const SEND_ERRORS = 'millrace_relay_send_errors_total';
const OLDEST_SEND = 'millrace_relay_oldest_send_seconds';
const OLD_SEND_SECONDS = 3;
