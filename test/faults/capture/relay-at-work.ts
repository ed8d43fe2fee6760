import { type RelayProcess } from '../../harness/relay-process.js';
import { type RouteView, type RowWorld } from './row-world.js';

const FOUND_MS = 30_000;

/** A relay and the routes that it runs. */
export interface RelayAtWork {
  readonly name: string;
  readonly relay: RelayProcess;
  /** Its name in the ledgers. */
  readonly owner: string;
  /** Empty for a standby. */
  readonly routes: readonly string[];
}

/** The running relays, as their admin APIs show them. */
export async function relaysAtWork(world: RowWorld): Promise<readonly RelayAtWork[]> {
  const running = [...world.relays].filter(([, relay]) => relay.isRunning);
  return Promise.all(
    running.map(async ([name, relay]) => {
      const { routes } = (await relay.admin('GET', 'routes')) as { readonly routes: readonly RouteView[] };
      const mine = routes.filter(({ claim, state }) => claim !== null && state.kind === 'running');
      return { name, relay, owner: routes[0]?.relay ?? '', routes: mine.map((route) => route.name) };
    }),
  );
}

/** The relay that runs the (first) route. Rejects when there is none in time. */
export async function leaderOf(world: RowWorld, route = world.routes[0]?.name ?? ''): Promise<RelayAtWork> {
  let leader: RelayAtWork | undefined;
  await world.holds(FOUND_MS, async () => {
    leader = (await relaysAtWork(world)).find(({ routes }) => routes.includes(route));
    return leader !== undefined;
  });
  if (leader === undefined) {
    throw new Error(`No relay has run route ${route} within ${FOUND_MS} ms.`);
  }
  return leader;
}

/** Waits until the relay is ready and another one runs the (first) route. Rejects when it takes too long. */
export async function standsBy(world: RowWorld, name: string): Promise<void> {
  const isStandby = await world.holds(FOUND_MS, async () => {
    const { routes } = (await world.relay(name).admin('GET', 'routes')) as { readonly routes: readonly RouteView[] };
    return routes[0]?.state.kind === 'standby';
  });
  if (!isStandby) {
    throw new Error(`Relay ${name} has not stood by within ${FOUND_MS} ms.`);
  }
}

/** Waits until all routes are run, each relay having as many as it should; false when it takes longer. */
export async function isShared(world: RowWorld, relays: number, withinMs: number): Promise<boolean> {
  const share = Math.floor(world.routes.length / relays);
  return world.holds(withinMs, async () => {
    const counts = (await relaysAtWork(world)).map(({ routes }) => routes.length);
    const sum = counts.reduce((total, count) => total + count, 0);
    return counts.length === relays && sum === world.routes.length && Math.min(...counts) >= share;
  });
}
