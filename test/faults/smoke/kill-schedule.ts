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
/** In a run of a minute every app is killed two or three times, and every server too. */
const SECONDS_PER_KILL = { app: 25, server: 30 };
const LEAST = { app: 2, server: 1 };
const SERVERS: ReadonlySet<Component> = new Set(['kafka', 'postgres']);
/** Two kills of one component are at least this part of its average pause apart: what was killed is to work in between. */
const APART = 0.4;

/**
 * The kills of a run in time order: every app at least twice, every server at least once, each at random times of its
 * own, so that several can be down at once. The same seed and length give the same ones.
 */
export function killSchedule(seed: number, seconds: number): readonly Kill[] {
  const random = new Random(seed);
  return COMPONENTS.flatMap((component) => killsOf(component, seconds, random)).sort((a, b) => a.atMs - b.atMs);
}

function killsOf(component: Component, seconds: number, random: Random): Kill[] {
  const kind = SERVERS.has(component) ? 'server' : 'app';
  const count = Math.max(LEAST[kind], Math.floor(seconds / SECONDS_PER_KILL[kind]) + random.below(2));
  const sliceMs = (seconds * 1_000 - FIRST_MS - LAST_BEFORE_END_MS) / count;
  // the last slice is used to its end
  const spanOf = (slice: number): number => Math.floor(slice === count - 1 ? sliceMs : sliceMs * (1 - APART));
  return Array.from({ length: count }, (_, slice) => ({
    atMs: Math.round(FIRST_MS + slice * sliceMs + random.below(spanOf(slice))),
    component,
  }));
}
