import { describe, expect, it } from '@jest/globals';
import { CaptureError, type ForkRepair, type ForkStep, type PublishedRecord } from '@millrace/capture';
import { toEpoch } from '@millrace/events';
import { SinkError, type SinkPort } from '@millrace/transport';
import { parseRoute } from './route-config.js';
import { RouteMeter } from './route-meter.js';
import { RouteRepair, type RepairEnd } from './route-repair.js';
import { SendGate } from './send-gate.js';
import { FakeClock } from './testing/fake-clock.js';
import { FakeSink } from './testing/fake-sink.js';

const ROUTE = parseRoute({ name: 'orders', source: 'shop', sink: 'kafka', topic: 'orders' });
const REPORT = { found: 1, moved: 2, lost: 0, incident: null };

/** A repair that a test steers, and what was asked of it. */
class FakeRepair implements ForkRepair {
  readonly epoch = toEpoch(1);
  readonly sinceMs = 5;
  readonly asked: string[] = [];
  readonly kept: PublishedRecord[] = [];
  steps: ForkStep[] = [{ kind: 'repaired', report: REPORT }];
  renewError: Error | null = null;

  begin(): Promise<void> {
    return this.note('begin');
  }

  keep(records: readonly PublishedRecord[]): Promise<void> {
    this.kept.push(...records);
    return this.note('keep');
  }

  renew(): Promise<void> {
    return this.renewError === null ? this.note('renew') : Promise.reject(this.renewError);
  }

  complete(): Promise<ForkStep> {
    const [step = { kind: 'repaired', report: REPORT } as const, ...others] = this.steps;
    this.steps = others;
    return this.note('complete').then(() => step);
  }

  close(): Promise<void> {
    return this.note('close');
  }

  private note(what: string): Promise<void> {
    this.asked.push(what);
    return Promise.resolve();
  }
}

interface Trial {
  readonly repair: FakeRepair;
  readonly clock: FakeClock;
  readonly gate: SendGate;
  readonly told: string[];
  readonly stop: AbortController;
  readonly run: Promise<RepairEnd>;
}

type ReadBack = NonNullable<SinkPort['readBack']>;

function start(readBack: ReadBack | undefined, prepare: (trial: Omit<Trial, 'run'>) => void = () => undefined): Trial {
  const clock = new FakeClock();
  const told: string[] = [];
  const trial = { repair: new FakeRepair(), clock, gate: new SendGate(clock), told, stop: new AbortController() };
  prepare(trial);
  const sink: SinkPort = readBack === undefined ? new FakeSink() : Object.assign(new FakeSink(), { readBack });
  const meter = new RouteMeter('orders', clock, {
    forkRepaired: ({ report }) => {
      told.push(`repaired ${JSON.stringify(report)}`);
    },
  });
  const run = new RouteRepair({
    ...trial,
    route: ROUTE,
    sink,
    meter,
    signal: trial.stop.signal,
    tell: (event) => {
      told.push(event.kind === 'hindered' ? event.problem.code : event.kind);
    },
  }).run();
  return { ...trial, run };
}

const readAll: ReadBack = () => Promise.resolve({ kind: 'complete' });

describe('the repair of a route', () => {
  it('reads back, completes, tells what it did, and closes', async () => {
    const { run, repair, told } = start(readAll);
    expect(await run).toEqual({ kind: 'repaired' });
    expect(repair.asked).toEqual(['begin', 'complete', 'close']);
    expect(told).toEqual(['fork_repair', `repaired ${JSON.stringify(REPORT)}`]);
  });

  it('waits for the sends of this process before it reads', async () => {
    let answer = (): void => undefined;
    const { run, repair, clock } = start(readAll, ({ gate }) => {
      const call = new Promise<void>((resolve) => {
        answer = resolve;
      });
      gate.enter('orders/0', { route: 'orders', call });
    });
    await clock.advance(500);
    expect(repair.asked).toEqual([]);
    answer();
    await clock.advance(500);
    expect(await run).toEqual({ kind: 'repaired' });
  });

  it('names the writer that it waits for', async () => {
    const { run, clock, told } = start(readAll, ({ repair }) => {
      repair.steps = [{ kind: 'waiting', holder: 'pid 7' }];
    });
    await clock.advance(1_000);
    expect(await run).toEqual({ kind: 'repaired' });
    expect(told.slice(0, 2)).toEqual(['fork_repair', 'fork_waits']);
  });

  it('keeps the lease while it reads, and ends when the lease is lost', async () => {
    const reading: ReadBack = ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(new SinkError('unavailable', 'Called off.'));
        });
      });
    const { run, repair, clock } = start(reading);
    await clock.advance(ROUTE.tuning.leaseTtlMs);
    expect(repair.asked.filter((what) => what === 'renew').length).toBeGreaterThanOrEqual(3);
    const error = new CaptureError('fenced', 'Another one has it.');
    repair.renewError = error;
    await clock.advance(ROUTE.tuning.leaseTtlMs);
    expect(await run).toEqual({ kind: 'failed', error });
    expect(repair.asked.at(-1)).toBe('close');
  });

  it.each([
    ['cannot be read back', undefined],
    ['may lack records', () => Promise.resolve({ kind: 'incomplete', reason: 'Topic t is compacted.' })],
    ['may not be read', () => Promise.reject(new SinkError('not_authorised', 'No right to read.'))],
  ] as [string, ReadBack | undefined][])('is refused by name where the sink %s', async (_, readBack) => {
    const { run, repair } = start(readBack);
    expect(await run).toMatchObject({ kind: 'refused', problem: { side: 'source', code: 'identity_changed' } });
    expect(repair.asked).not.toContain('complete');
  });

  it('fails, to be tried again, where the sink is away', async () => {
    const error = new SinkError('unavailable', 'Gone.');
    expect(await start(() => Promise.reject(error)).run).toEqual({ kind: 'failed', error });
  });

  it('is given up when the relay stops', async () => {
    const { run, repair, stop, clock } = start(readAll, (trial) => {
      trial.repair.steps = Array.from({ length: 100 }, () => ({ kind: 'waiting', holder: 'pid 7' }));
    });
    await clock.advance(100);
    stop.abort();
    expect(await run).toMatchObject({ kind: 'failed' });
    expect(repair.asked.at(-1)).toBe('close');
  });
});
