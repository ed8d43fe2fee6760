import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { toPosition } from '@millrace/events';
import * as fc from 'fast-check';
import { EventAddresses } from '../../libs/relay/src/event-addresses.js';
import { RecordEncoder } from '../../libs/relay/src/event-record.js';
import { HeldKeys } from '../../libs/relay/src/held/held-keys.js';
import { Lane } from '../../libs/relay/src/lane.js';
import { LaneSender } from '../../libs/relay/src/lane-sender.js';
import { LeaseValidity } from '../../libs/relay/src/lease-validity.js';
import { PageWindow } from '../../libs/relay/src/page-window.js';
import { SendGate } from '../../libs/relay/src/send-gate.js';
import { LaneOffsets } from '../../libs/relay/src/take-over/lane-offsets.js';
import { TakeOver } from '../../libs/relay/src/take-over/take-over.js';
import { InvariantBroken } from './history.js';
import { actedOnScenario, poisonedScenario } from './poison.js';
import { RelayWorld, type WorldMutations } from './relay-world.js';
import { scenario } from './scenario.js';
import { SimSink } from './sim-sink.js';

const SEED = 20_260;
const SCENARIOS = fc.sample(scenario, { seed: SEED, numRuns: 2_000 });
const POISONED = fc.sample(poisonedScenario, { seed: SEED, numRuns: 2_000 });
const ACTED_ON = fc.sample(actedOnScenario, { seed: SEED, numRuns: 2_000 });

/** Runs random scenarios, always the same, until one breaks a rule; says which. */
async function firstBrokenRule(mutations: WorldMutations = {}, scenarios = SCENARIOS): Promise<string> {
  for (const each of scenarios) {
    try {
      await new RelayWorld(each, mutations).run();
    } catch (error) {
      if (error instanceof InvariantBroken) {
        return error.message;
      }
      throw error;
    }
  }
  return 'no rule was broken';
}

describe('the simulation, with the relay broken on purpose', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('sees a second writer when the lease is not checked before each send', async () => {
    jest.spyOn(LeaseValidity.prototype, 'isValid').mockReturnValue(true);
    expect(await firstBrokenRule()).toMatch(/^single writer:/);
  });

  it('sees a loss when events count as confirmed once they are handed to the sink', async () => {
    const spy = jest.spyOn(Lane.prototype, 'next');
    const next = spy.getMockImplementation();
    spy.mockImplementation(function (this: Lane, pageMax) {
      const batch = next?.call(this, pageMax) ?? null;
      for (const { page } of batch?.items ?? []) {
        if (page !== null) {
          page.pending -= 1;
        }
      }
      return batch;
    });
    expect(await firstBrokenRule()).toMatch(/^settled after it was stored:/);
  });

  it('sees a loss when a send without an answer counts as stored', async () => {
    const spy = jest.spyOn(SimSink.prototype, 'send');
    const send = spy.getMockImplementation();
    spy.mockImplementation(async function (this: SimSink, lane, records) {
      await send?.call(this, lane, records).catch(() => undefined);
      return { baseOffset: 0n };
    });
    expect(await firstBrokenRule()).toMatch(/^settled after it was stored:/);
  });

  it('sees two sends in flight on a lane, and the reordering that comes of it', async () => {
    const spy = jest.spyOn(Lane.prototype, 'next');
    const next = spy.getMockImplementation();
    spy.mockImplementation(function (this: Lane, pageMax) {
      const batch = next?.call(this, pageMax) ?? null;
      if (batch !== null) {
        this.acked();
      }
      return batch;
    });
    jest.spyOn(SendGate.prototype, 'whenFree').mockReturnValue(null);
    // what fails is not there to be sent again: what comes of that may be seen first
    expect(await firstBrokenRule({ blindTo: ['liveness', 'order per key'] })).toMatch(/^one send in flight per lane:/);
    const blindTo = ['one send in flight per lane', 'the same records again', 'liveness', 'low is true'];
    expect(await firstBrokenRule({ blindTo })).toMatch(/^order per key:/);
  });

  it('sees other records in a resend', async () => {
    const spy = jest.spyOn(Lane.prototype, 'failed');
    const failed = spy.getMockImplementation();
    spy.mockImplementation(function (this: Lane, code) {
      Reflect.set(this, 'batch', null);
      failed?.call(this, code);
    });
    expect(await firstBrokenRule()).toMatch(/^the same records again:/);
  });

  it('sees a lane that is never tried again', async () => {
    jest.spyOn(Lane.prototype, 'retry').mockImplementation(() => undefined);
    expect(await firstBrokenRule()).toMatch(/^liveness:/);
  });

  it('sees reading ahead without a limit', async () => {
    jest.spyOn(PageWindow.prototype, 'hasRoom').mockReturnValue(true);
    expect(await firstBrokenRule()).toMatch(/^bounded memory:/);
  });

  it('sees a second copy when what a dead relay has sent is not looked for', async () => {
    jest.spyOn(TakeOver.prototype, 'isPublished').mockReturnValue(false);
    expect(await firstBrokenRule()).toMatch(/^one copy:/);
  });

  it('sees a second copy when a lane is sent to before its tail was read', async () => {
    jest.spyOn(TakeOver.prototype, 'isOpen').mockReturnValue(true);
    jest.spyOn(TakeOver.prototype, 'whenOpen').mockReturnValue(null);
    expect(await firstBrokenRule()).toMatch(/^one copy:/);
  });

  it('sees a second copy when lanes are noted further than the ledger has got', async () => {
    const spy = jest.spyOn(LaneOffsets.prototype, 'take');
    const take = spy.getMockImplementation();
    spy.mockImplementation(function (this: LaneOffsets) {
      return take?.call(this, Number.POSITIVE_INFINITY, true) ?? {};
    });
    expect(await firstBrokenRule()).toMatch(/^one copy:/);
  });

  it('sees a second copy when what was found does not keep the offset of its lane where it is', async () => {
    const spy = jest.spyOn(LaneOffsets.prototype, 'open');
    const open = spy.getMockImplementation();
    spy.mockImplementation(function (this: LaneOffsets, lane) {
      open?.call(this, { ...lane, found: [] });
    });
    expect(await firstBrokenRule()).toMatch(/^one copy:/);
  });

  it('sees a low that runs ahead of what was sent', async () => {
    const spy = jest.spyOn(RecordEncoder.prototype, 'setLow');
    const setLow = spy.getMockImplementation();
    spy.mockImplementation(function (this: RecordEncoder, low) {
      setLow?.call(this, toPosition(low + 5n));
    });
    expect(await firstBrokenRule()).toMatch(/^low is true:/);
  });

  it('sees sends of a paused route', async () => {
    jest.spyOn(LaneSender.prototype, 'setPaused').mockImplementation(() => undefined);
    expect(await firstBrokenRule()).toMatch(/^a paused route sends nothing:/);
  });

  it('sees a ledger that takes writes of an old epoch', async () => {
    expect(await firstBrokenRule({ database: { ignoresEpoch: true } })).toMatch(
      /^an old epoch never moves the ledger:/,
    );
  });

  it('sees the phantom of a commit that was read before it was on disk', async () => {
    const crashes = fc.array(
      fc.record({ kind: fc.constant('database-crash' as const), atMs: fc.nat(4_000), forMs: fc.nat(500) }),
      { minLength: 8, maxLength: 8 },
    );
    const asynchronous = fc.tuple(scenario, crashes).map(([each, faults]) => ({
      ...each,
      transactions: each.transactions.map((plan) => ({ ...plan, end: 'commit-async' as const })),
      faults,
    }));
    const scenarios = fc.sample(asynchronous, { seed: SEED, numRuns: 2_000 });
    expect(await firstBrokenRule({}, scenarios.slice(0, 50))).toBe('no rule was broken');
    expect(await firstBrokenRule({ database: { flushesNever: true } }, scenarios)).toMatch(/^no phantom:/);
  });
});

describe('the simulation, with the holding of events broken on purpose', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  async function firstBroken(mutations: WorldMutations = {}): Promise<string> {
    return firstBrokenRule(mutations, POISONED);
  }

  it('sees an event pass one that is held when its key is not held with it', async () => {
    jest.spyOn(HeldKeys.prototype, 'has').mockReturnValue(false);
    expect(await firstBroken()).toMatch(/^order per key: .* is held$/);
  });

  it('sees it when what is queued already does not join the chain', async () => {
    jest.spyOn(LaneSender.prototype, 'sweep').mockReturnValue([]);
    expect(await firstBroken()).toMatch(/^order per key: .* is (held|not published)$/);
  });

  it('sees a new event pass a chain of which only the first event was released', async () => {
    const spy = jest.spyOn(HeldKeys.prototype, 'confirmed');
    const confirmed = spy.getMockImplementation();
    spy.mockImplementation(function (this: HeldKeys, event) {
      confirmed?.call(this, event);
      const key = this.find(event);
      if (key !== undefined) {
        this.close(key);
      }
    });
    // what is left of the chain is forgotten: that may be seen first
    expect(await firstBroken({ blindTo: ['liveness'] })).toMatch(/^order per key: .* is held$/);
  });

  it('sees it when a new owner does not know what is held', async () => {
    jest.spyOn(HeldKeys.prototype, 'load').mockImplementation(() => undefined);
    expect(await firstBroken({ blindTo: ['liveness'] })).toMatch(/^order per key: .* is held$/);
  });

  it('sees a second copy when what was released stays in the table', async () => {
    const spy = jest.spyOn(HeldKeys.prototype, 'takeChanges');
    const take = spy.getMockImplementation();
    spy.mockImplementation(function (this: HeldKeys, through) {
      const changes = take?.call(this, through);
      return changes === undefined ? undefined : { ...changes, released: [] };
    });
    expect(await firstBroken()).toMatch(/^sent once:/);
  });

  it('sees a loss when what is held is not written by the statement that settles it', async () => {
    expect(await firstBroken({ database: { holdsLater: true } })).toMatch(/^settled after it was stored:/);
  });

  it('sees more held than the limits allow', async () => {
    jest.spyOn(HeldKeys.prototype, 'isFull', 'get').mockReturnValue(false);
    expect(await firstBroken()).toMatch(/^held within limits:/);
  });

  it('sees a released event that consumers would take for a repeat', async () => {
    const spy = jest.spyOn(EventAddresses.prototype, 'of');
    const of = spy.getMockImplementation();
    spy.mockImplementation(function (this: EventAddresses, event) {
      const address = of?.call(this, event);
      if (address === undefined) {
        throw new Error('no address');
      }
      return address;
    });
    expect(await firstBroken()).toMatch(/^what comes below the floor says so:/);
  });

  it('sees a chain that waits behind nothing when a discard during a try is forgotten', async () => {
    expect(await firstBrokenRule({ database: { forgetsActs: true } }, ACTED_ON)).toMatch(/^liveness:/);
    const spy = jest.spyOn(HeldKeys.prototype, 'load');
    const load = spy.getMockImplementation();
    spy.mockImplementation(function (this: HeldKeys, stored) {
      load?.call(this, stored);
      for (const each of stored) {
        Object.assign(this.find(each) ?? {}, { isOverlooked: false });
      }
    });
    expect(await firstBrokenRule({}, ACTED_ON)).toMatch(/^liveness:/);
  });

  it('sees a chain that is never tried again', async () => {
    jest.spyOn(HeldKeys.prototype, 'due').mockReturnValue([]);
    expect(await firstBroken()).toMatch(/^liveness:/);
  });
});
