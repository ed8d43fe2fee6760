import { setTimeout as sleep } from 'node:timers/promises';
import { createRetentionKeeper, letRouteGoOn } from '@millrace/capture';
import { type Problem } from '../../delivery-check.js';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { leaderOf } from '../relay-at-work.js';
import { type RowWorld } from '../row-world.js';
import { keepLeaf, useSmallLeaves } from '../small-leaves.js';

const LEAVES = { count: 150, width: 300 };
const [KEPT, FORGOTTEN] = ['kept', 'forgotten'];
/** What an hour and more are in production. */
const POLICY = { keepMs: 1_000, maxAgeMs: 6_000, maxBytes: null };
const GRACE_MS = 3_000;
const RUN_EVERY_MS = 500;
const EXPIRED_WITHIN_MS = 60_000;
const STOPPED_WITHIN_MS = 10_000;
const REASON = { actor: 'the fault run', reason: 'row 66' };

type Range = { readonly from: bigint; readonly to: bigint };

/** Runs retention until the route has expired and leaves that it had not read are gone; false when that takes too long. */
async function expire(world: RowWorld): Promise<boolean> {
  const keeper = createRetentionKeeper({
    source: 'main',
    databaseUrl: world.relayUrl(),
    policy: POLICY,
    observer: {},
    archive: async (leaf) => keepLeaf(world, leaf),
    expiryGraceMs: GRACE_MS,
  });
  return world.holds(EXPIRED_WITHIN_MS, async () => {
    const { routes, emptied } = await keeper.run();
    const expired = routes.find(({ isExpired }) => isExpired);
    if (expired !== undefined && expired.route !== FORGOTTEN) {
      world.found('other', `route ${expired.route} has expired`);
    }
    await sleep(RUN_EVERY_MS);
    return expired !== undefined && emptied.some(({ last }) => last > expired.low);
  });
}

async function isStoppedByName(world: RowWorld): Promise<boolean> {
  const views = await world.routeViews();
  return views.some(({ name, state }) => name === FORGOTTEN && state.problem?.code === 'route_expired');
}

/** Retention told the range of what it removed: just that may be missing, and a hole in each key that was in it. */
function isAccountedFor({ kind, text }: Problem, { from, to }: Range): boolean {
  const position = BigInt(/position (\d+)/.exec(text)?.[1] ?? 0);
  return kind === 'lost' ? position >= from && position <= to : kind === 'order' && position > to;
}

export const PAUSED_ROUTE: CaptureRow = {
  id: '66',
  title: 'a paused route keeps retention up, expires by its limit (6 s instead of hours) and is let go on',
  modes: BOTH_MODES,
  routes: [KEPT, FORGOTTEN],
  async run(world) {
    await useSmallLeaves(world, LEAVES.count, LEAVES.width);
    await world.begin();
    const { relay } = await leaderOf(world, FORGOTTEN);
    await relay.admin('POST', `routes/${FORGOTTEN}/pause`, { reason: REASON.reason });
    const mark = world.logMark();
    if (!(await expire(world))) {
      world.found('late', `no route has expired within ${EXPIRED_WITHIN_MS / 1_000} s`);
      return;
    }
    await world.tells(/route_expired/, mark);
    if (!(await world.holds(STOPPED_WITHIN_MS, async () => isStoppedByName(world)))) {
      world.found('told', `the admin API does not show the route as stopped by route_expired`);
    }
    const answer = await letRouteGoOn({
      databaseUrl: world.databaseUrl,
      route: FORGOTTEN,
      exemptMs: 600_000,
      ...REASON,
    });
    const lost = answer.kind === 'goes_on' ? answer.lost : null;
    if (lost === null) {
      world.found('unmet', `nothing was removed that the route had not read (${answer.kind})`);
      return;
    }
    world.excuses((problem, route) => route === FORGOTTEN && isAccountedFor(problem, lost));
    world.note(`positions ${lost.from} to ${lost.to} were named as removed`);
    await relay.admin('POST', `routes/${FORGOTTEN}/resume`, { reason: REASON.reason });
    await world.recovers('the route was let go on');
    await world.streams();
  },
};
