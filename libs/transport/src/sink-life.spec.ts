import { describe, expect, it } from '@jest/globals';
import { SinkLife, type SinkLifeParts } from './sink-life.js';
import { type SinkLane, type SinkRecord } from './sink-port.js';

const LANE: SinkLane = { id: 'orders/0', topic: 'orders', partition: 0 };
const OTHER: SinkLane = { id: 'orders/1', topic: 'orders', partition: 1 };
const RECORDS: readonly SinkRecord[] = [{ key: Buffer.from('k'), value: Buffer.from('v'), headers: [] }];

/** Ends when it is told to. */
function pending<Value>(): {
  promise: Promise<Value>;
  resolve: (value: Value) => void;
  reject: (error: Error) => void;
} {
  let resolve: (value: Value) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<Value>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

function lifeOf(parts: Partial<SinkLifeParts> = {}): { life: SinkLife; log: string[] } {
  const log: string[] = [];
  const life = new SinkLife({
    name: 'test',
    opensItself: false,
    drainMs: 1_000,
    open: () => {
      log.push('open');
      return Promise.resolve();
    },
    close: () => {
      log.push('close');
      return Promise.resolve();
    },
    ...parts,
  });
  return { life, log };
}

function send(life: SinkLife, lane = LANE): Promise<string> {
  return life.send(lane, RECORDS, () => {
    life.assertOpen();
    return Promise.resolve('sent');
  });
}

describe('the life of a sink', () => {
  it('takes sends from start to stop, and before the first start where the sink opens itself', async () => {
    const { life } = lifeOf();
    await expect(send(life)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'The test sink is not started: start it before sending.',
    });
    await life.start();
    expect(await send(life)).toBe('sent');
    await life.stop();
    await expect(send(life)).rejects.toMatchObject({ code: 'unavailable' });
    await life.start();
    expect(await send(life)).toBe('sent');

    expect(await send(lifeOf({ opensItself: true }).life)).toBe('sent');
  });

  it('is not open after a start that failed, and may be started again', async () => {
    let failure: Error | null = new Error('away');
    const { life } = lifeOf({ open: () => (failure === null ? Promise.resolve() : Promise.reject(failure)) });

    await expect(life.start()).rejects.toBe(failure);
    await expect(send(life)).rejects.toMatchObject({ code: 'unavailable' });
    failure = null;
    await life.start();

    expect(await send(life)).toBe('sent');
  });

  it('refuses a second send on a lane that has one in flight, and one without records', async () => {
    const { life } = lifeOf({ opensItself: true });
    const answer = pending<string>();
    const sending = life.send(LANE, RECORDS, () => answer.promise);

    await expect(send(life)).rejects.toThrow(/orders\/0 has a send in flight/);
    await expect(life.send(OTHER, [], () => Promise.resolve('sent'))).rejects.toThrow(/at least one record/);
    expect(await send(life, OTHER)).toBe('sent');
    answer.reject(new Error('lost'));
    await expect(sending).rejects.toThrow('lost');

    expect(await send(life)).toBe('sent');
  });

  it('waits for the sends on the lanes that are meant, however they end', async () => {
    const { life, log } = lifeOf({ opensItself: true });
    const [meant, other] = [pending<string>(), pending<string>()];
    const sends = [life.send(LANE, RECORDS, () => meant.promise), life.send(OTHER, RECORDS, () => other.promise)];
    const settled = Promise.allSettled(sends);

    const ended = life.endOfSends(({ id }) => id === LANE.id).then(() => log.push('ended'));
    await new Promise(setImmediate);
    expect(log).toEqual([]);
    meant.reject(new Error('lost'));
    await ended;
    other.resolve('sent');
    await settled;
  });

  it('closes when the sends in flight have ended, or after the drain time', async () => {
    const patient = lifeOf({ opensItself: true });
    const answer = pending<string>();
    const sending = patient.life.send(LANE, RECORDS, () => answer.promise).then(() => patient.log.push('sent'));
    const stopping = patient.life.stop();
    await new Promise(setImmediate);
    answer.resolve('sent');
    await Promise.all([sending, stopping]);
    expect(patient.log).toEqual(['sent', 'close']);

    const hasty = lifeOf({ opensItself: true, drainMs: 10 });
    const late = hasty.life.send(LANE, RECORDS, () => pending<string>().promise);
    await hasty.life.stop();
    expect(hasty.log).toEqual(['close']);
    late.catch(() => undefined);
  });

  it('closes once for stops that meet', async () => {
    const { life, log } = lifeOf();
    await life.start();

    await Promise.all([life.stop(), life.stop()]);

    expect(log).toEqual(['open', 'close']);
  });

  it('gives back what a start was opening when it was overtaken by a stop', async () => {
    const opened = pending<undefined>();
    const { life, log } = lifeOf({ open: () => opened.promise.then(() => void log.push('open')) });

    const starting = life.start();
    await new Promise(setImmediate);
    const stopping = life.stop();
    await new Promise(setImmediate);
    expect(log).toEqual([]);
    opened.resolve(undefined);

    await expect(starting).rejects.toMatchObject({
      code: 'unavailable',
      message: 'The test sink was stopped before it had started.',
    });
    await stopping;
    expect(log).toEqual(['open', 'close']);
    await expect(send(life)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('opens nothing for a start between two stops', async () => {
    const closed = pending<undefined>();
    const { life, log } = lifeOf({ close: () => closed.promise });
    await life.start();

    const first = life.stop();
    const starting = expect(life.start()).rejects.toMatchObject({ code: 'unavailable' });
    const second = life.stop();
    closed.resolve(undefined);
    await Promise.all([first, second, starting]);

    expect(log).toEqual(['open']);
    await expect(send(life)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('opens anew for a start after a stop, once that has ended', async () => {
    const { life, log } = lifeOf();
    await life.start();

    await Promise.all([life.stop(), life.start()]);

    expect(log).toEqual(['open', 'close', 'open']);
    expect(await send(life)).toBe('sent');
  });
});
