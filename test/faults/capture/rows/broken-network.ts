import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy, type LinkClient, type WhichLinks } from '@millrace/testing';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { LedgerHistory } from '../ledger-history.js';
import { ownEventsSql } from '../own-events.js';
import { leaderOf, standsBy } from '../relay-at-work.js';
import { type RowWorld } from '../row-world.js';

const RESETS = 6;
const RESET_EVERY_MS = 2_000;
/** Above all that the relay waits for: a statement 25 s, a page 30 s. */
const HOLE_MS = 40_000;
const TAKEN_OVER_MS = 10_000;
const TOLD_MS = 10_000;
const HALF_OPEN_MS = 20_000;
const SLOW_MS = 20_000;
const SLOW_LAG_MS = 10_000;
const BACKLOG = { name: 'slow', keys: 200, versions: 100 };
/** Events a second of a backlog at a round trip of 600 ms, give or take 400. */
const FLOOR_PER_SECOND = 500;

/** A proxy between relays and database; producers and the harness go past it. */
async function proxied(world: RowWorld): Promise<FaultProxy> {
  const proxy = await FaultProxy.start({
    target: { port: world.postgres.port },
    protocol: 'postgres',
    random: () => world.random.below(1_000) / 1_000,
  });
  world.atEnd(async () => proxy.stop());
  return proxy;
}

/** One relay behind the proxy, at work. */
async function beginBehind(world: RowWorld, proxy: FaultProxy): Promise<void> {
  await world.startRelay('relay', { databaseUrl: world.relayUrl(proxy.port) });
  await world.begin({ relays: [] });
}

/** In WAL mode the stream, otherwise what else there is. */
function linkOf(world: RowWorld): WhichLinks {
  return world.mode === 'polling' ? 'plain' : 'replication';
}

export const RESETS_OF_CONNECTION: CaptureRow = {
  id: '10',
  title: 'RST on the replication connection (polling: on all) each 2 s, six times',
  modes: BOTH_MODES,
  async run(world) {
    world.explains(() => 'after RST');
    const proxy = await proxied(world);
    await beginBehind(world, proxy);
    let reset = 0;
    for (let time = 0; time < RESETS; time += 1) {
      await sleep(RESET_EVERY_MS);
      reset += proxy.reset(linkOf(world));
    }
    world.note(`${reset} connections reset`);
    if (reset === 0) {
      world.found('unmet', 'no connection was there to be reset');
    }
    await world.recovers();
    await world.streams();
  },
};

/** The relay at work is in the hole alone at first: the other one takes over. Then there is no other one. */
export const BLACK_HOLE: CaptureRow = {
  id: '11',
  title: 'black hole of the database connections for 40 s (all waits are shorter), with and without a second relay',
  modes: BOTH_MODES,
  async run(world) {
    world.explains(() => 'after the black hole');
    const proxy = await proxied(world);
    await beginBehind(world, proxy);
    const history = await LedgerHistory.begin(world);
    await world.startRelay('outside');
    await standsBy(world, 'outside');
    await takeOverFrom(world, proxy, history);
    await world.relay('outside').end('SIGTERM');
    await leaderOf(world);
    await world.recovers('the second relay was stopped');
    await disappear(world, proxy);
    await world.recovers('the second hole');
    await world.streams();
    await history.check();
  },
};

async function takeOverFrom(world: RowWorld, proxy: FaultProxy, history: LedgerHistory): Promise<void> {
  const [claim] = await history.claims();
  const since = await history.now();
  const over = disappear(world, proxy);
  const tookMs = claim && (await history.publishedAgain(claim, since, HOLE_MS));
  world.note(`the other relay published after ${((tookMs ?? HOLE_MS) / 1_000).toFixed(1)} s`);
  if (tookMs === undefined || tookMs > TAKEN_OVER_MS) {
    world.found('late', `the other relay published after ${tookMs ?? `more than ${HOLE_MS}`} ms`);
  }
  await over;
  await world.recovers('the hole');
}

/** Nothing of the relay reaches the database, nor the other way round; it is to say so. */
async function disappear(world: RowWorld, proxy: FaultProxy): Promise<void> {
  const relay = world.relay();
  proxy.set({ kind: 'blackhole' });
  const startedMs = performance.now();
  if (!(await world.holds(TOLD_MS, async () => !(await relay.isReady())))) {
    world.found('told', `the relay says that it is ready ${TOLD_MS / 1_000} s after it lost its database`);
  }
  await sleep(Math.max(0, startedMs + HOLE_MS - performance.now()));
  proxy.heal();
}

/** The stream flows, and the server hears nothing of us: it ends the connection. By polling: answers get lost. */
export const HALF_OPEN: CaptureRow = {
  id: '12',
  title: 'half-open for 20 s: feedback of the stream lost (polling: answers to the ledger)',
  modes: BOTH_MODES,
  postgresSettings: { wal_sender_timeout: '10s' },
  async run(world) {
    world.explains(() => 'after lost answers');
    const proxy = await proxied(world);
    await beginBehind(world, proxy);
    const isMeant: WhichLinks = world.mode === 'polling' ? isLedger : 'replication';
    await world.holds(HALF_OPEN_MS, () => Promise.resolve(proxy.open(isMeant).length > 0));
    const before = proxy.open(isMeant).map(({ number }) => number);
    proxy.set({ kind: 'drop', direction: world.mode === 'polling' ? 'to-client' : 'to-server' }, isMeant);
    await sleep(HALF_OPEN_MS);
    proxy.heal();
    await world.recovers();
    await world.streams();
    // what was sent before goes on being published: an unanswered statement is given up after 25 s
    const isGivenUp = await world.holds(HALF_OPEN_MS, () =>
      Promise.resolve(!proxy.open(isMeant).some(({ number }) => before.includes(number))),
    );
    const after = proxy.open(isMeant).map(({ number }) => number);
    if (before.length === 0 || !isGivenUp) {
      world.found('unmet', `of connections ${before.join()}, which lost bytes, ${after.join()} are there still`);
    }
  },
};

function isLedger({ parameters }: LinkClient): boolean {
  return parameters['application_name']?.endsWith('ledger') === true;
}

/** A database far away: it must neither lose the lease over it nor fall behind. */
export const LATENCY: CaptureRow = {
  id: '13',
  title: 'latency of 300 ms +- 200 in each direction',
  modes: BOTH_MODES,
  async run(world) {
    world.allowsNoRepeats();
    const proxy = await proxied(world);
    await beginBehind(world, proxy);
    proxy.set({ kind: 'delay', ms: 300, jitterMs: 200 });
    await sleep(SLOW_MS);
    const behindMs = await world.settles(SLOW_LAG_MS);
    if (behindMs === undefined) {
      world.found('late', `more than ${SLOW_LAG_MS / 1_000} s behind the load`);
    }
    const startedMs = performance.now();
    await world.query(ownEventsSql(BACKLOG));
    const drained = await world.settles();
    const perSecond = Math.round((BACKLOG.keys * BACKLOG.versions * 1_000) / (performance.now() - startedMs));
    world.note(
      `settled ${((behindMs ?? SLOW_LAG_MS) / 1_000).toFixed(1)} s after the commit, backlog at ${perSecond}/s`,
    );
    if (drained === undefined || perSecond < FLOOR_PER_SECOND) {
      world.found('late', `a backlog is published at ${perSecond} events a second`);
    }
    proxy.heal();
    await world.streams();
  },
};
