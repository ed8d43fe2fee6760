import { afterEach, describe, expect, it } from '@jest/globals';
import { CaptureError } from '@millrace/capture';
import { SinkError } from '@millrace/transport';
import { RelayError } from './relay.errors.js';
import { SharingWorld } from './testing/sharing-world.js';

/** Long enough for every wait to be over. */
const SETTLED_MS = 30_000;
const COMMAND = { actor: 'anna', reason: null };

let world: SharingWorld;

/** Some relays that have run long enough to share four routes evenly. */
async function settled(owners: readonly string[], routes = 4): Promise<number> {
  world = new SharingWorld(routes);
  await world.join(...owners);
  await world.pass(SETTLED_MS);
  return world.database.moves.length;
}

afterEach(async () => {
  for (const owner of ['a', 'b', 'c']) {
    try {
      world.relay(owner).process.thaw();
    } catch {
      // not every world has all three
    }
  }
  await world.stop();
});

describe('relays that share routes', () => {
  it('leave all of them to one relay alone, which asks at once', async () => {
    world = new SharingWorld(4);
    await world.join('a');
    expect(world.owners).toBe('a a a a');
    expect(world.relay('a').engine.status()[0]).toMatchObject({ owner: 'a', preferredOwner: 'a' });
  });

  it('give a second one its part after the settling time, and not before', async () => {
    await settled(['a']);
    await world.join('b');
    await world.pass(4_900);
    expect(world.owners).toBe('a a a a');
    expect(await world.until('a b a b', 5_000)).toBeLessThan(5_000);
    expect(world.database.moves.slice(4).map(({ idleMs }) => idleMs < 1_300)).toEqual([true, true]);
  });

  it('are even when they start at the same time', async () => {
    await settled(['a', 'b', 'c'], 6);
    expect(world.owners).toBe('a b c a b c');
    expect(world.relay('b').engine.relays()).toMatchObject([
      { source: 'db', problem: null, members: [{ owner: 'a' }, { owner: 'b' }, { owner: 'c' }] },
    ]);
  });

  it('take what a relay leaves behind within seconds, and even out after the settling time', async () => {
    await settled(['a', 'b', 'c']);
    expect(world.owners).toBe('a b c a');
    const leaving = world.relay('c').engine.stop();
    await world.until('a b a a', 3_000);
    await leaving;
    expect(await world.until('a b a b', 10_000)).toBeGreaterThan(2_000);
  });

  it('take what a killed relay had within 10 s', async () => {
    await settled(['a', 'b']);
    world.kill('a');
    await world.pass(2_000);
    expect(world.owners).toBe('a b a b');
    expect(await world.until('b b b b', 8_000)).toBeGreaterThan(1_000);
    await world.pass(SETTLED_MS);
    expect(world.owners).toBe('b b b b');
  });

  it('take what a killed relay had within 10 s even when they do not know of each other', async () => {
    world = new SharingWorld(4);
    const blind = world.add('b');
    blind.source.canReadMembers = false;
    await world.join('a');
    blind.engine.start();
    await world.pass(SETTLED_MS);
    expect(world.owners).toBe('a a a a');
    expect(blind.engine.relays()).toMatchObject([{ ageMs: null, problem: { code: 'not_authorised' } }]);
    world.kill('a');
    await world.until('b b b b', 10_000);
  });

  it('keep what they have when they can not read the members any more', async () => {
    await settled(['a']);
    world.relay('a').source.canReadMembers = false;
    await world.join('b');
    await world.pass(SETTLED_MS);
    expect(world.owners).toBe('a a a a');
    expect(world.relay('a').engine.routeStatus('r0')).toMatchObject({ preferredOwner: null });
    world.relay('a').source.canReadMembers = true;
    await world.until('b a b a', 15_000);
  });

  it('move nothing for one that comes and goes', async () => {
    const moves = await settled(['a', 'b']);
    for (let life = 0; life < 10; life += 1) {
      await world.join(`c${life}`);
      await world.pass(4_000);
      world.kill(`c${life}`);
      await world.pass(2_000);
    }
    await world.pass(SETTLED_MS);
    expect(world.movesSince(moves)).toEqual([]);
  });

  it('move nothing for a restart of a relay without a route', async () => {
    const moves = await settled(['a', 'b', 'c'], 2);
    await world.relay('c').engine.stop();
    await world.join('d');
    await world.pass(SETTLED_MS);
    expect(world.owners).toBe('a b');
    expect(world.movesSince(moves)).toEqual([]);
  });

  it('do not fight when there are more relays than routes', async () => {
    const moves = await settled(['a', 'b', 'c', 'd', 'e'], 2);
    expect(world.owners).toBe('a b');
    await world.pass(120_000);
    expect(world.movesSince(moves)).toEqual([]);
  });

  it('count a relay that was frozen for a while as one that joins anew', async () => {
    const moves = await settled(['a', 'b']);
    const { process } = world.relay('a');
    process.freeze();
    await world.until('b b b b', 10_000);
    await world.pass(10_000);
    process.thaw();
    await world.pass(3_000);
    expect(world.owners).toBe('b b b b');
    await world.until('b a b a', 10_000);
    expect(world.movesSince(moves)).toHaveLength(4);
  });

  it('leave a frozen relay what it has while its leases are valid', async () => {
    const moves = await settled(['a', 'b']);
    const { process } = world.relay('a');
    process.freeze();
    await world.pass(3_000);
    process.thaw();
    await world.pass(SETTLED_MS);
    expect(world.movesSince(moves)).toEqual([]);
  });

  it('do not make room for a relay that can not reach its sink', async () => {
    const moves = await settled(['a']);
    const { engine, sink } = world.add('b');
    sink.startError = new SinkError('unavailable', 'No broker answers.');
    engine.start();
    await world.pass(SETTLED_MS);
    expect(world.movesSince(moves)).toEqual([]);
    sink.startError = null;
    await world.until('a b a b', 15_000);
  });

  it('move nothing between different configurations, until one of the two is gone', async () => {
    const moves = await settled(['a']);
    world.add('b', { topic: 'other' }).engine.start();
    await world.pass(SETTLED_MS);
    expect(world.movesSince(moves)).toEqual([]);
    const stopping = world.relay('a').engine.stop();
    await world.until('b b b b', 3_000);
    await stopping;
  });
});

describe('a route that one relay has stopped', () => {
  const REFUSAL = new CaptureError('sequence_behind', 'The sequence was set back.');

  async function stoppedInA(): Promise<void> {
    world = new SharingWorld(1);
    world.add('a').source.refusals.set('r0', REFUSAL);
    world.relay('a').engine.start();
    await world.pass(1);
    await world.join('b');
    await world.pass(SETTLED_MS);
  }

  it('is left to a person by the others, which say whom to ask', async () => {
    await stoppedInA();
    expect(world.relay('a').engine.routeStatus('r0').state.kind).toBe('stopped');
    expect(world.relay('b').engine.routeStatus('r0').state).toMatchObject({ kind: 'standby', heldBy: 'a' });
    expect(world.owners).toBe('-');
  });

  it('runs where it is resumed', async () => {
    await stoppedInA();
    world.relay('a').source.refusals.clear();
    await world.relay('a').engine.resume({ route: 'r0', ...COMMAND });
    await world.pass(1);
    expect(world.owners).toBe('a');
  });

  it('runs in another relay when it is resumed there', async () => {
    await stoppedInA();
    await world.relay('b').engine.resume({ route: 'r0', ...COMMAND });
    await world.until('b', 5_000);
    await world.pass(SETTLED_MS);
    expect(world.owners).toBe('b');
  });

  it('for a fault of its own is run by another one after the grace', async () => {
    world = new SharingWorld(1);
    world.add('a').source.refusals.set('r0', new CaptureError('schema_too_new', 'Upgrade the relay.'));
    world.relay('a').engine.start();
    await world.join('b');
    expect(world.owners).toBe('-');
    await world.until('b', 5_000);
    await world.pass(SETTLED_MS);
    expect(world.relay('a').engine.routeStatus('r0').state.kind).toBe('stopped');
    expect(world.owners).toBe('b');
  });

  it('is tried by the others when that relay is gone', async () => {
    await stoppedInA();
    await world.relay('a').engine.stop();
    await world.until('b', 5_000);
  });
});

describe('a relay that is told to step down', () => {
  it('lets the other one have the route for a minute, and writes down who wanted it', async () => {
    await settled(['a', 'b'], 2);
    await world.relay('a').engine.stepDown({ route: 'r0', ...COMMAND });
    expect(world.relay('a').source.audits).toEqual(['route.step-down r0']);
    expect(await world.until('b b', 5_000)).toBeGreaterThan(2_000);
    await world.pass(45_000);
    expect(world.owners).toBe('b b');
    await world.until('a b', 20_000);
  });

  it('takes the route again soon when there is nobody else', async () => {
    await settled(['a'], 1);
    await world.relay('a').engine.stepDown({ route: 'r0', ...COMMAND });
    await world.pass(5_000);
    expect(world.owners).toBe('-');
    await world.until('a', 3_000);
  });

  it('refuses what it does not run, and what it does not know', async () => {
    await settled(['a', 'b'], 2);
    const { engine, source } = world.relay('b');
    await expect(engine.stepDown({ route: 'r0', ...COMMAND })).rejects.toThrow('does not run route r0');
    await expect(engine.stepDown({ route: 'x', ...COMMAND })).rejects.toThrow(RelayError);
    expect(source.audits).toEqual([]);
  });
});

describe('the presence of a relay', () => {
  it('is renewed every two seconds, and ended by a stop', async () => {
    await settled(['a', 'b'], 2);
    const seen = (): string[] =>
      world
        .relay('b')
        .engine.relays()[0]
        ?.members.map(({ owner }) => owner) ?? [];
    expect(seen()).toEqual(['a', 'b']);
    await world.relay('a').engine.stop();
    await world.pass(2_000);
    expect(seen()).toEqual(['b']);
  });

  it('is told to the observer when it begins and ends, and not with every beat', async () => {
    world = new SharingWorld(1);
    await world.join('a');
    await world.pass(10_000);
    await world.join('b');
    await world.pass(10_000);
    await world.relay('b').engine.stop();
    await world.pass(10_000);
    expect(world.relay('a').told).toEqual(['a', 'a b', 'a']);
  });

  it('that can not be told holds the routes of its source up for a beat', async () => {
    world = new SharingWorld(1);
    const { engine, source } = world.add('a');
    source.join = () => new Promise(() => undefined);
    engine.start();
    await world.pass(1_900);
    expect(world.owners).toBe('-');
    await world.until('a', 4_000);
  });
});
