import { type PublishScene } from './publish-row.js';

/** A key of which events are held, as the admin API shows it. */
export interface HeldKey {
  readonly aggregateId: string;
  readonly state: string;
  readonly code: string;
  readonly attempts: number;
  readonly events: number;
}

/** Which held events are meant, beside those of the row's route. */
export interface HeldFilter {
  readonly key?: { readonly aggregateType: string; readonly aggregateId: string };
  readonly ids?: readonly string[];
}

/** The keys of the row's route of which events are held. */
export async function heldKeys({ world }: PublishScene): Promise<readonly HeldKey[]> {
  const answer = await world.relay().admin('GET', `held-keys?route=${routeOf(world)}`);
  return (Reflect.get(Object(answer), 'keys') ?? []) as readonly HeldKey[];
}

/** Waits until each key has so many events held; a finding when it does not in time. */
export async function areHeld(scene: PublishScene, wanted: ReadonlyMap<string, number>, ms = HELD_MS): Promise<void> {
  const areThere = await scene.world.holds(ms, async () => {
    const keys = await heldKeys(scene);
    return keys.length === wanted.size && keys.every((key) => wanted.get(key.aggregateId) === key.events);
  });
  if (!areThere) {
    const found = (await heldKeys(scene)).map(({ aggregateId, events }) => `${aggregateId}: ${events}`);
    scene.world.found('late', `after ${ms / 1_000} s these are held: ${found.join() || 'none'}`);
  }
}

/** What an operator does: first a dry run, then the action on just as many events as he was shown. */
export async function actOnHeld(
  { world }: PublishScene,
  action: 'retry' | 'discard',
  filter: HeldFilter,
): Promise<number> {
  const command = { action, filter: { route: routeOf(world), ...filter }, reason: 'fault run' };
  const shown = await world.relay().admin('POST', 'parked/actions', { ...command, dryRun: true });
  const events = Number(Reflect.get(Object(shown), 'events'));
  await world.relay().admin('POST', 'parked/actions', { ...command, confirm: events });
  return events;
}

const HELD_MS = 20_000;

function routeOf({ routes }: PublishScene['world']): string {
  return routes[0]?.name ?? '';
}
