import { setTimeout as sleep } from 'node:timers/promises';
import { type Repeat } from '../../delivery-check.js';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { LedgerHistory } from '../ledger-history.js';
import { isShared, type RelayAtWork, relaysAtWork } from '../relay-at-work.js';
import { type RowWorld } from '../row-world.js';

const ROUNDS = 4;
const EVENTS_PER_SECOND = 2_000;
const WRITERS = 24;
const LIMIT_MS = 10_000;
const GIVEN_UP_MS = 30_000;
/** Twice the lease. */
const FROZEN_MS = 12_000;
const SHARED_MS = 45_000;

/** By what the epochs of routes were ended. */
type Causes = Map<string, string>;

/** One relay is killed, or frozen for longer than its lease; returns how long each of its routes was without one. */
async function takeOver(world: RowWorld, history: LedgerHistory, round: number, causes: Causes): Promise<number[]> {
  const fault = round % 2 === 0 ? 'SIGKILL' : 'SIGSTOP';
  const victim = await nextVictim(world, round);
  const claims = (await history.claims()).filter(({ owner }) => owner === victim.owner);
  claims.forEach(({ route, epoch }) => causes.set(`${route} ${epoch}`, fault));
  const since = await history.now();
  victim.relay.send(fault);
  const startedMs = performance.now();
  const times = await Promise.all(claims.map(async (claim) => history.publishedAgain(claim, since, GIVEN_UP_MS)));
  claims.forEach(({ route }, index) => {
    const tookMs = times[index];
    if (tookMs === undefined || tookMs > LIMIT_MS) {
      world.found('late', `${route} published again ${tookMs ?? `more than ${GIVEN_UP_MS}`} ms after ${fault}`);
    }
  });
  await restore(world, victim, fault, startedMs);
  return times.map((tookMs) => tookMs ?? GIVEN_UP_MS);
}

async function restore(world: RowWorld, { name, relay }: RelayAtWork, fault: string, startedMs: number): Promise<void> {
  if (fault === 'SIGKILL') {
    await relay.exited;
    await world.startRelay(name);
    return;
  }
  await sleep(Math.max(0, startedMs + FROZEN_MS - performance.now()));
  relay.send('SIGCONT');
}

async function nextVictim(world: RowWorld, round: number): Promise<RelayAtWork> {
  const relays = await relaysAtWork(world);
  const victim = relays[Math.floor(round / 2) % relays.length];
  if (victim === undefined || victim.routes.length === 0) {
    throw new Error('There is no relay with a route to be taken over.');
  }
  return victim;
}

function causeOf(causes: Causes, { firstEpoch, epoch }: Repeat, route: string): string {
  if (epoch === firstEpoch) {
    return 'sent again by the same relay';
  }
  return epoch < firstEpoch
    ? 'by a relay that had lost the route'
    : `after ${causes.get(`${route} ${firstEpoch}`) ?? 'a route was handed over'}`;
}

export const TAKE_OVER: CaptureRow = {
  id: 'C3',
  title: 'two relays, four routes, SIGKILL and SIGSTOP of one in turn',
  modes: BOTH_MODES,
  routes: ['one', 'two', 'three', 'four'],
  async run(world) {
    const causes: Causes = new Map();
    world.explains((repeat, route) => causeOf(causes, repeat, route));
    await world.begin({ relays: ['a', 'b'], eventsPerSecond: EVENTS_PER_SECOND, writers: WRITERS });
    const history = await LedgerHistory.begin(world);
    const startedMs = performance.now();
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      if (!(await isShared(world, 2, SHARED_MS))) {
        world.found('late', `the routes were not shared evenly within ${SHARED_MS / 1_000} s`);
      }
      times.push(...(await takeOver(world, history, round, causes)));
    }
    await world.recovers('the last fault');
    await world.streams();
    const seconds = (performance.now() - startedMs) / 1_000;
    await history.check();
    world.note(`take-overs ${timesText(times)} within ${Math.round(seconds)} s`);
    world.note(`${Math.round((await published(world)) / seconds)} events/s`);
  },
};

/** Events since the history began, on one route. */
async function published(world: RowWorld): Promise<number> {
  const sql = `select count(*)::int as events from millrace.outbox
    where occurred_at > (select min(at) from ledger_history)`;
  return (await world.query<{ events: number }>(sql))[0]?.events ?? 0;
}

function timesText(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (index: number): string => `${((sorted[index] ?? 0) / 1_000).toFixed(2)} s`;
  return `${sorted.length}: min ${at(0)}, median ${at(sorted.length >> 1)}, max ${at(sorted.length - 1)}`;
}
