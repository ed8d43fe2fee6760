import { setTimeout as sleep } from 'node:timers/promises';
import { ownEventsSql } from '../../capture/own-events.js';
import { type PublishRow, type PublishScene } from '../publish-row.js';
import { begin } from '../publish-scene.js';
import { configureTopic, limitProducers } from '../topic-changes.js';

const TOPIC_BYTES_MAX = 100_000;
const STOPPED_MS = 20_000;
const QUOTA_BYTES = 100_000;
const QUOTA_MS = 20_000;

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

export const EVENT_TOO_LARGE: PublishRow = {
  id: '39a',
  title: "an event above the topic's max.message.bytes: a named stop before it, resumed when the limit is raised",
  topicConfigs: { 'max.message.bytes': String(TOPIC_BYTES_MAX) },
  async run(scene) {
    const { world, lanes } = scene;
    await begin(scene);
    await world.query(ownEventsSql({ name: 'large', keys: 1, versions: 2, fillerBytes: 3 * TOPIC_BYTES_MAX }));
    await stopsWith(scene, 'record_too_large');
    lanes.end();
    await configureTopic(scene, 'max.message.bytes', String(10 * TOPIC_BYTES_MAX));
    await resume(scene);
    await world.recovers('the limit was raised');
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
