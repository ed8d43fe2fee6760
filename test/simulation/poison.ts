import { type HeldAction } from '@millrace/capture';
import { type PoisonPolicy } from '@millrace/relay';
import * as fc from 'fast-check';
import { type Scenario, scenario } from './scenario.js';

/** An event that the sink refuses. */
export interface PoisonedEvent {
  /** The how manieth that was inserted. */
  readonly nth: number;
  /** Then the sink takes it; `null`: never. */
  readonly untilMs: number | null;
}

/** What a person does with held events, and with which. */
export interface PersonsAct {
  readonly action: HeldAction;
  /** A key, or: those that were refused, all. */
  readonly of: 'refused' | 'all' | 'a' | 'b' | 'c' | 'd';
  readonly atMs: number;
}

/** What the sink refuses, what becomes of it, and what persons do about it. */
export interface PoisonPlan {
  readonly onPoison: PoisonPolicy;
  readonly heldEventsMax: number;
  readonly events: readonly PoisonedEvent[];
  readonly acts: readonly PersonsAct[];
}

/** Waits between the tries of a held key: short ones, so that many happen among the faults. */
export const HELD_RETRY = { retryMinMs: 300, retryMaxMs: 3_000 } as const;

const NEVER = null;

const poison: fc.Arbitrary<PoisonPlan> = fc.record({
  onPoison: fc.constantFrom('block', 'park', 'skip'),
  heldEventsMax: fc.constantFrom(100_000, 100_000, 4),
  events: fc.array(
    fc.record({ nth: fc.integer({ min: 1, max: 60 }), untilMs: fc.oneof(fc.constant(NEVER), fc.nat(15_000)) }),
    { minLength: 1, maxLength: 10, size: 'max' },
  ),
  acts: fc.array(
    fc.record({
      action: fc.constantFrom<HeldAction>('retry', 'discard'),
      of: fc.constantFrom('refused', 'refused', 'all', 'a', 'b', 'c', 'd'),
      atMs: fc.nat(12_000),
    }),
    { maxLength: 8, size: 'max' },
  ),
});

/** Any run with a sink that refuses some events. */
export const poisonedScenario: fc.Arbitrary<Scenario> = fc
  .tuple(scenario, poison)
  .map(([each, plan]) => ({ ...each, poison: plan }));

/** Runs without other faults where persons have parked events tried, and give them up while they may be on their way. */
export const actedOnScenario: fc.Arbitrary<Scenario> = fc
  .tuple(scenario, poison, fc.array(fc.tuple(fc.nat(12_000), fc.nat(600)), { minLength: 1, maxLength: 6 }))
  .map(([each, plan, times]) => {
    const acts = times.flatMap(([atMs, laterMs]): PersonsAct[] => [
      { action: 'retry', of: 'refused', atMs },
      { action: 'discard', of: 'refused', atMs: atMs + laterMs },
    ]);
    return { ...each, travelMs: 150, faults: [], poison: { ...plan, onPoison: 'park', acts } };
  });
