import { join } from 'node:path';
import { peakMemoryMiB } from '../../harness/process-usage.js';
import { type RelayProcess } from '../../harness/relay-process.js';
import { type PublishScene } from './publish-row.js';
import { SteadyLoad } from './steady-load.js';

/** The longest that a lane may wait for an acknowledgement while one broker is away. */
const LANE_LIMIT_MS = 12_000;
const MEMORY_LIMIT_MIB = 512;
const START_MS = 60_000;

/** Starts a relay that tells when its lanes are acknowledged. */
export async function startRelay(
  { world, lanes, programs }: PublishScene,
  name = 'relay',
  { preload = [], onLine }: { readonly preload?: readonly string[]; readonly onLine?: (line: string) => void } = {},
): Promise<RelayProcess> {
  const modules = ['lane-acks', ...preload].map((each) => join(programs, 'faults', 'preload', `${each}.js`));
  return world.startRelay(name, {
    nodeArguments: ['--enable-source-maps', ...modules.map((file) => `--import=${file}`)],
    onLine: (line) => {
      lanes.heard(line);
      onLine?.(line);
    },
  });
}

/** One relay at work under the steady load; the clock of its lanes runs. */
export async function begin(scene: PublishScene): Promise<SteadyLoad> {
  await startRelay(scene);
  return beginLoad(scene);
}

/** The steady load, until it is published; then the clock of the lanes runs. */
export async function beginLoad({ world, lanes, topic, row, eventsPerSecond }: PublishScene): Promise<SteadyLoad> {
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
export function checkLanes({ world, lanes }: PublishScene, limitMs = LANE_LIMIT_MS): void {
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
export function checkMemory({ world }: PublishScene, name = 'relay'): void {
  const peakMiB = Math.round(peakMemoryMiB(world.relay(name).pid));
  world.note(`most memory ${peakMiB} MiB`);
  if (peakMiB > MEMORY_LIMIT_MIB) {
    world.found('bounded', `the relay had ${peakMiB} MiB resident, more than ${MEMORY_LIMIT_MIB}`);
  }
}
