import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { actedOnScenario, poisonedScenario } from './poison.js';
import { RelayWorld } from './relay-world.js';
import { type Scenario, scenario } from './scenario.js';

/** `MILLRACE_SIM_MS` runs longer; `MILLRACE_SIM_SEED` and `MILLRACE_SIM_PATH` repeat what a failure printed. */
const RUN_MS = Number(process.env['MILLRACE_SIM_MS'] ?? 20_000);
const SEED = process.env['MILLRACE_SIM_SEED'];
const PATH = process.env['MILLRACE_SIM_PATH'];

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

async function holdsFor(scenarios: fc.Arbitrary<Scenario>): Promise<void> {
  let events = 0;
  const property = fc.asyncProperty(scenarios, async (each) => {
    events += (await new RelayWorld(each).run()).events;
    // lets the time limit be seen
    await nextTurn();
  });
  await fc.assert(property, {
    numRuns: 1_000_000,
    interruptAfterTimeLimit: RUN_MS,
    markInterruptAsFailure: false,
    ...(SEED === undefined ? {} : { seed: Number(SEED) }),
    ...(PATH === undefined ? {} : { path: PATH }),
  });
  expect(events).toBeGreaterThan(0);
}

describe('the relay, simulated', () => {
  it(
    'loses nothing, reorders nothing, publishes once what it finds, has one writer, stays small and recovers, whatever happens to it',
    async () => {
      await holdsFor(scenario);
    },
    2 * RUN_MS + 60_000,
  );

  it(
    'keeps all of it while the sink refuses events, holds what comes after them, and goes on beside them',
    async () => {
      await holdsFor(fc.oneof({ weight: 3, arbitrary: poisonedScenario }, { weight: 1, arbitrary: actedOnScenario }));
    },
    2 * RUN_MS + 60_000,
  );
});
