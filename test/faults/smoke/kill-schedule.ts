import { Random } from '../../ledger/random.js';

/** What is killed. */
export const COMPONENTS = ['relay', 'order', 'inventory', 'payment', 'kafka', 'postgres'] as const;
export type Component = (typeof COMPONENTS)[number];

/** SIGKILL for one component. */
export interface Kill {
  readonly atMs: number;
  readonly component: Component;
}

const FIRST_MS = 1_500;
const LAST_BEFORE_END_MS = 300;
const SECONDS_PER_KILL = 4;
const APPS: readonly Component[] = ['relay', 'order', 'inventory', 'payment'];
/** Servers take seconds to come back: in a short run each is killed once, in a long one at least twice. */
const SERVERS: readonly Component[] = ['kafka', 'postgres'];
const LONG_RUN_SECONDS = 45;
/** Of the kills beyond the least, so many in ten are of a server. */
const SERVER_ODDS = 5;

/**
 * The kills of a run in time order, spread over all of it: every app at least twice, every server at least once. The
 * same seed and length give the same ones.
 */
export function killSchedule(seed: number, seconds: number): readonly Kill[] {
  const random = new Random(seed);
  const least = [...APPS, ...APPS, ...SERVERS, ...(seconds >= LONG_RUN_SECONDS ? SERVERS : [])];
  const count = Math.max(least.length, Math.floor(seconds / SECONDS_PER_KILL));
  const more = Array.from({ length: count - least.length }, () =>
    pick(random.isOneIn(SERVER_ODDS) ? SERVERS : APPS, random),
  );
  const slotMs = (seconds * 1_000 - FIRST_MS - LAST_BEFORE_END_MS) / count;
  return shuffle([...least, ...more], random).map((component, slot) => ({
    atMs: Math.round(FIRST_MS + slot * slotMs + random.below(Math.ceil(slotMs))),
    component,
  }));
}

function pick(from: readonly Component[], random: Random): Component {
  return from[random.below(from.length)] ?? 'relay';
}

function shuffle(items: readonly Component[], random: Random): Component[] {
  const left = [...items];
  const out: Component[] = [];
  while (left.length > 0) {
    out.push(...left.splice(random.below(left.length), 1));
  }
  return out;
}
