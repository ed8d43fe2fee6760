import { setTimeout as sleep } from 'node:timers/promises';
import { consoleConsume } from '@millrace/testing';
import { ownEventsSql } from '../../capture/own-events.js';
import { actOnHeld, areHeld, heldKeys } from '../held-events.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';
import { begin, beginLoad, startRelay } from '../publish-scene.js';
import { configureTopic, limitProducers } from '../topic-changes.js';

const TOPIC_BYTES_MAX = 100_000;
const LARGE_BYTES = 3 * TOPIC_BYTES_MAX;
const STOPPED_MS = 20_000;
const HELD_FOR_MS = 8_000;
/** The pause after the second refusal, and some time to send. */
const RELEASED_MS = 30_000;
/** Of the lanes beside a key that is held. */
const OTHERS_LIMIT_MS = 5_000;
const QUOTA_BYTES = 100_000;
const QUOTA_MS = 20_000;
/** The first event is too large, so many follow before it is held, and as many again behind what is held. */
const FOLLOWERS = 20;

/** Waits until the route has stopped with this code; the relay must have logged why. */
export async function stopsWith({ world }: PublishScene, code: string, withinMs = STOPPED_MS): Promise<void> {
  const isStopped = await world.holds(withinMs, async () => {
    const [view] = await world.routeViews();
    return view?.state.kind === 'stopped' && view.state.problem?.code === code;
  });
  if (!isStopped) {
    world.found('told', `the route did not stop with ${code} within ${withinMs / 1_000} s`);
  }
  await world.tells(new RegExp(`"code":"${code}".*"route stopped"|"route stopped".*"code":"${code}"`), new Map());
}

/** What an operator does when the cause is removed. */
export async function resume({ world }: PublishScene): Promise<void> {
  const [route] = world.routes;
  await world.relay().admin('POST', `routes/${route?.name ?? ''}/resume`, { reason: 'fault run' });
}

/**
 * One event too large and some behind it, of each of some keys, and more of them while they are held; meanwhile the
 * others go on and nothing is noticed but what the relay tells.
 */
async function refuseSome(scene: PublishScene, keys: number): Promise<void> {
  const { world, lanes } = scene;
  const own = { name: 'large', keys };
  await world.query(ownEventsSql({ ...own, versions: 1, fillerBytes: LARGE_BYTES }));
  await world.query(ownEventsSql({ ...own, versions: FOLLOWERS, from: 2 }));
  await areHeld(scene, heldOfEach(keys, 1 + FOLLOWERS));
  await world.tells(/"code":"record_too_large".*"event refused"/, new Map());
  await world.query(ownEventsSql({ ...own, versions: FOLLOWERS, from: 2 + FOLLOWERS }));
  await sleep(HELD_FOR_MS);
  await areHeld(scene, heldOfEach(keys, 1 + 2 * FOLLOWERS));
  lanes.end();
  const gap = lanes.longest;
  if (gap === undefined || gap.ms > OTHERS_LIMIT_MS) {
    world.found('late', `lane ${gap?.lane ?? ''} had no acknowledgement for ${Math.round(gap?.ms ?? 0)} ms`);
  }
  if ((await world.settles()) === undefined) {
    world.found('late', 'the ledger waits for what is held');
  }
}

function heldOfEach(keys: number, events: number): ReadonlyMap<string, number> {
  return new Map(Array.from({ length: keys }, (_, index) => [`large-${index}`, events]));
}

export const EVENT_TOO_LARGE: PublishRow = {
  id: '39a',
  title:
    "an event above the topic's max.message.bytes (onPoison: block): held with its key, sent by itself when the limit is raised",
  topicConfigs: { 'max.message.bytes': String(TOPIC_BYTES_MAX) },
  async run(scene) {
    await begin(scene);
    await refuseSome(scene, 1);
    await configureTopic(scene, 'max.message.bytes', String(10 * TOPIC_BYTES_MAX));
    await areHeld(scene, new Map(), RELEASED_MS);
    await scene.world.recovers('the limit was raised');
    scene.world.note(`${1 + 2 * FOLLOWERS} events held and sent`);
  },
};

export const QUOTA: PublishRow = {
  id: '39b',
  title: `a quota of ${QUOTA_BYTES / 1_000} kB/s for producers at each broker for ${QUOTA_MS / 1_000} s`,
  async run(scene) {
    await begin(scene, scene.eventsPerSecond);
    await limitProducers(scene, 'millrace', QUOTA_BYTES);
    await sleep(QUOTA_MS);
    await limitProducers(scene, 'millrace', undefined);
    await scene.world.recovers('the quota was taken away');
    scene.lanes.end();
  },
};

const RETRIED = 'large-0';
const FIRST_DISCARDED = 'large-1';
const ALL_DISCARDED = 'large-2';

/** Nothing goes out before a person acts, also when the cause is gone. */
async function staysParked(scene: PublishScene): Promise<void> {
  const before = await heldKeys(scene);
  await sleep(HELD_FOR_MS);
  const after = await heldKeys(scene);
  if (before.some(({ state }) => state !== 'parked') || JSON.stringify(after) !== JSON.stringify(before)) {
    scene.world.found('other', `held keys did not wait for a person: ${JSON.stringify({ before, after })}`);
  }
}

/** The events of the chain that were never to be published, as `key version`; they must not have been. */
async function areNotThere(scene: PublishScene, discarded: ReadonlySet<string>): Promise<void> {
  const { world, cluster, topic } = scene;
  await world.endLoad();
  await world.settles();
  const records = await consoleConsume({ brokers: cluster.directBrokers, topic });
  const sent = records.filter(({ key, headers }) => discarded.has(`${key ?? ''} ${headers['aggregateversion'] ?? ''}`));
  if (sent.length > 0) {
    world.found('phantom', `${sent.length} discarded events were published`);
  }
}

export const EVENT_PARKED: PublishRow = {
  id: '39c',
  title:
    'events above max.message.bytes (onPoison: park): held with their keys until an operator retries, discards one, discards a chain',
  topicConfigs: { 'max.message.bytes': String(TOPIC_BYTES_MAX) },
  async run(scene) {
    const { world } = scene;
    const routes = world.routes.map((route) => ({ ...route, settings: { onPoison: 'park' } }));
    await startRelay(scene, 'relay', { routes });
    await beginLoad(scene);
    await refuseSome(scene, 3);
    await configureTopic(scene, 'max.message.bytes', String(10 * TOPIC_BYTES_MAX));
    await staysParked(scene);

    const last = 1 + 2 * FOLLOWERS;
    const [first] = await world.query<{ id: string }>('select id::text from truth where key = $1 and version = 1', [
      FIRST_DISCARDED,
    ]);
    await actOnHeld(scene, 'retry', { key: { aggregateType: 'order', aggregateId: RETRIED } });
    await actOnHeld(scene, 'discard', { ids: [first?.id ?? ''] });
    await actOnHeld(scene, 'discard', { key: { aggregateType: 'order', aggregateId: ALL_DISCARDED } });
    await world.query(ownEventsSql({ name: 'large', keys: 3, versions: FOLLOWERS, from: last + 1 }));
    await areHeld(scene, new Map(), RELEASED_MS);
    await world.recovers('the operator had acted');

    const chain = Array.from({ length: last }, (_, index) => `${ALL_DISCARDED} ${index + 1}`);
    const discarded = new Set([`${FIRST_DISCARDED} 1`, ...chain]);
    const afterHole = new Set([`${FIRST_DISCARDED} 2`, `${ALL_DISCARDED} ${last + 1}`]);
    world.excuses(({ kind, text }) => {
      const [, key = '', version = ''] = /\(key (\S+), version (\d+),/.exec(text) ?? [];
      const named = `${key} ${version}`;
      return kind === 'lost' ? discarded.has(named) : kind === 'order' && afterHole.has(named);
    });
    await areNotThere(scene, discarded);
    world.note(`${last} events released, ${discarded.size} discarded, ${last - 1} behind a discarded one released`);
  },
};
