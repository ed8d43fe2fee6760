import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type DataSource } from 'typeorm';
import { judgeRelease } from './chain-releaser.js';
import { Inbox } from './inbox.js';
import { systemInboxClock } from './inbox-clock.js';
import { tellAll } from './inbox-observer.js';
import { type Arrival, type Handle, type HoldVerdict, type JudgeRetry } from './inbox-port.js';
import {
  arrivalOf,
  createGate,
  EFFECT_TABLE,
  INBOX_TABLES,
  openDataSource,
  recordEffect,
  waitersFor,
} from './testing-doubles/inbox-scene.js';

const HELD: HoldVerdict = { kind: 'held', retryInMs: 0, code: 'handler_error', reason: 'Error: try again' };
const PARKED: HoldVerdict = { kind: 'parked', code: 'no_stock', reason: 'Count the stock.' };

let database: TestDatabase;
let observer: pg.Client;
let dataSource: DataSource;
let otherSource: DataSource;
let inbox: Inbox;
let other: Inbox;

beforeAll(async () => {
  database = await createTestDatabase();
  observer = await database.connect();
  await observer.query(EFFECT_TABLE);
  dataSource = await openDataSource(database.url);
  otherSource = await openDataSource(database.url);
  inbox = new Inbox({ consumer: 'stock', dataSource });
  other = new Inbox({ consumer: 'stock', dataSource: otherSource });
});

beforeEach(async () => {
  await observer.query(`truncate public.effect, ${INBOX_TABLES} restart identity`);
  // the stream is known from here on
  await inbox.apply([arrivalOf({ position: 1, key: 'other key' })], () => Promise.resolve());
});

afterAll(async () => {
  await dataSource.destroy();
  await otherSource.destroy();
  await observer.end();
  await database.drop();
});

const judgeNever: JudgeRetry = () => {
  throw new Error('no head should have failed');
};

const judgeAsReleaser: JudgeRetry = (error, attempt) =>
  judgeRelease(error, attempt, { maxAttempts: 20, clock: systemInboxClock, observer: tellAll([]) });

async function effects(): Promise<string[]> {
  const { rows } = await observer.query<{ id: string }>('select id from public.effect order by n');
  return rows.map(({ id }) => id);
}

function idsOf(arrivals: readonly Arrival[]): string[] {
  return arrivals.map(({ id }) => id);
}

function eventsOf(...positions: number[]): Arrival[] {
  return positions.map((position) => arrivalOf({ position }));
}

async function setAside(verdict: HoldVerdict, ...arrivals: Arrival[]): Promise<void> {
  for (const arrival of arrivals) {
    await inbox.hold(arrival, verdict);
  }
}

describe('an event that is set aside', () => {
  it('has its claim, so its duplicate is a duplicate', async () => {
    const [event = arrivalOf()] = eventsOf(2);

    expect(await inbox.hold(event, HELD)).toBe('chained');
    expect(await inbox.apply([event], recordEffect)).toEqual(['duplicate']);
    expect(await inbox.hold(event, PARKED)).toBe('duplicate');
    expect(await effects()).toEqual([]);
  });

  it('is not set aside when it was applied meanwhile', async () => {
    const [event = arrivalOf()] = eventsOf(2);
    await other.apply([event], recordEffect);

    expect(await inbox.hold(event, HELD)).toBe('duplicate');
    expect(await inbox.countSetAside()).toEqual({ held: 0, parked: 0, heldKeys: 0 });
  });

  it('chains all later events of its key, and none of another key or topic', async () => {
    const [head = arrivalOf(), ...later] = eventsOf(2, 3, 4);
    await setAside(HELD, head);

    expect(await inbox.apply(later, recordEffect)).toEqual(['chained', 'chained']);
    const others = [arrivalOf({ key: 'free', position: 5 }), arrivalOf({ topic: 'payments', position: 6 })];
    expect(await inbox.apply(others, recordEffect)).toEqual(['applied', 'applied']);
    expect(await inbox.countSetAside()).toEqual({ held: 3, parked: 0, heldKeys: 1 });
  });

  it('is counted as parked together with what waits behind it', async () => {
    const [head = arrivalOf(), next = arrivalOf()] = eventsOf(2, 3);
    await setAside(PARKED, head);
    await setAside(HELD, next, arrivalOf({ key: 'elsewhere', position: 4 }));

    expect(await inbox.countSetAside()).toEqual({ held: 1, parked: 2, heldKeys: 2 });
  });

  it('comes back as it came, byte for byte', async () => {
    const headers = new Map([
      ['eventType', Buffer.from('order.placed')],
      ['millrace-position', Buffer.from([0, 255, 1])],
      ['odd\0name', Buffer.alloc(0)],
    ]);
    const event = arrivalOf({ position: 2, partition: 0, offset: 77, headers });
    await setAside(HELD, event);
    const seen: Arrival[] = [];

    await inbox.releaseDue((arrival) => Promise.resolve(void seen.push(arrival)), judgeNever);

    expect(seen).toEqual([{ ...event, isBypassingFloor: true }]);
  });

  it('may be a tombstone without a key that no relay sent', async () => {
    const event = arrivalOf({ position: 0, hasStream: false });
    const bare: Arrival = { ...event, delivery: { ...event.delivery, key: null, value: null, headers: new Map() } };
    await setAside(HELD, bare);
    const seen: Arrival[] = [];

    await inbox.releaseDue((arrival) => Promise.resolve(void seen.push(arrival)), judgeNever);

    expect(seen).toEqual([{ ...bare, isBypassingFloor: true }]);
  });
});

describe('a batch', () => {
  it('chains the events of keys that are held and applies the others', async () => {
    const [head = arrivalOf(), later = arrivalOf(), last = arrivalOf()] = eventsOf(2, 4, 6);
    await setAside(PARKED, head);
    const free = [arrivalOf({ key: 'a', position: 3 }), arrivalOf({ key: 'b', position: 5 })];
    const batch = [later, ...free, last, head];

    expect(await inbox.apply(batch, recordEffect)).toEqual(['chained', 'applied', 'applied', 'chained', 'duplicate']);
    expect(await effects()).toEqual(idsOf(free));
    expect(await inbox.apply(batch, recordEffect)).toEqual(batch.map(() => 'duplicate'));
  });

  it('sees a key that was set aside while its claim waited', async () => {
    const head = arrivalOf({ id: '00000000-0000-7000-8000-000000000001', position: 2 });
    const later = arrivalOf({ id: '00000000-0000-7000-8000-000000000002', position: 3 });
    const holder = await database.connect();
    await holder.query('begin');
    await holder.query(`insert into millrace.inbox (consumer, id, floor_id, position) values ('stock', $1, 1, 2)`, [
      head.id,
    ]);

    const zombie = other.apply([head, later], recordEffect);
    await waitersFor(observer);
    await holder.query(`insert into millrace.inbox_held_key (consumer, topic, key, status, code, reason)
      values ('stock', 'orders', 'k', 'parked', 'c', 'r')`);
    await holder.query('commit');

    expect(await zombie).toEqual(['duplicate', 'chained']);
    expect(await effects()).toEqual([]);
    await holder.end();
  });
});

describe('a release', () => {
  it('applies the chain in the order of the topic, ends it, and lets later events through', async () => {
    const events = eventsOf(10, 2, 9, 3);
    await setAside(HELD, ...events);

    const report = await inbox.releaseDue(recordEffect, judgeNever);

    expect(report).toEqual({ applied: 4, heldAgain: 0, parked: [], nextDueInMs: null });
    const inOrder = [...events].sort((a, b) => Number(a.position - b.position));
    expect(await effects()).toEqual(idsOf(inOrder));
    expect(await inbox.countSetAside()).toEqual({ held: 0, parked: 0, heldKeys: 0 });
    expect(await inbox.apply(eventsOf(11), recordEffect)).toEqual(['applied']);
    expect(await inbox.apply(events, recordEffect)).toEqual(events.map(() => 'duplicate'));
  });

  it('leaves what is not due and what is parked, and tells when to look again', async () => {
    await setAside({ ...HELD, retryInMs: 3_600_000 }, arrivalOf({ key: 'much later', position: 2 }));
    await setAside(PARKED, arrivalOf({ key: 'parked', position: 3 }));
    await setAside({ ...HELD, retryInMs: 4_500 }, arrivalOf({ key: 'later', position: 4 }));

    const report = await inbox.releaseDue(recordEffect, judgeNever);

    expect(report).toMatchObject({ applied: 0, heldAgain: 0, parked: [] });
    expect(report.nextDueInMs).toBeGreaterThan(0);
    expect(report.nextDueInMs).toBeLessThanOrEqual(4_500);
  });

  it('never waits longer than five seconds for its next look', async () => {
    await setAside({ ...HELD, retryInMs: 3_600_000 }, arrivalOf({ position: 2 }));

    expect(await inbox.releaseDue(recordEffect, judgeNever)).toMatchObject({ nextDueInMs: 5_000 });
  });

  it('tries a head that fails again as often as it is told, counting, and then parks the chain', async () => {
    const [head = arrivalOf(), next = arrivalOf()] = eventsOf(2, 3);
    await setAside(HELD, head, next);
    const attempts: number[] = [];
    const judge: JudgeRetry = (error, attempt) => {
      attempts.push(attempt);
      expect(error).toEqual(new Error('still no stock'));
      return attempt < 3 ? HELD : PARKED;
    };
    const fail: Handle = async (arrival, tx) => {
      await recordEffect(arrival, tx);
      throw new Error('still no stock');
    };

    expect(await inbox.releaseDue(fail, judge)).toMatchObject({ applied: 0, heldAgain: 1, parked: [], nextDueInMs: 0 });
    expect(await other.releaseDue(fail, judge)).toMatchObject({ heldAgain: 1 });
    expect(await inbox.releaseDue(fail, judge)).toEqual({
      applied: 0,
      heldAgain: 0,
      parked: [{ id: head.id, topic: 'orders', key: 'k', code: 'no_stock' }],
      nextDueInMs: null,
    });
    expect(await inbox.releaseDue(fail, judge)).toMatchObject({ heldAgain: 0, parked: [] });
    expect([attempts, await effects()]).toEqual([[1, 2, 3], []]);
    expect(await inbox.countSetAside()).toEqual({ held: 0, parked: 2, heldKeys: 1 });
  });

  it('does not count a try that the judge calls free', async () => {
    await setAside(HELD, arrivalOf({ position: 2 }));
    const attempts: number[] = [];
    const judge: JudgeRetry = (_, attempt) => {
      attempts.push(attempt);
      return { ...HELD, isFree: true };
    };

    for (let round = 0; round < 3; round++) {
      await inbox.releaseDue(() => Promise.reject(new Error('lock')), judge);
    }

    expect(attempts).toEqual([1, 1, 1]);
  });

  it('stops at the event that fails, and counts its tries from one', async () => {
    const [first = arrivalOf(), second = arrivalOf(), third = arrivalOf()] = eventsOf(2, 3, 4);
    await setAside(HELD, first, second, third);
    const attempts: number[] = [];
    const failSecond: Handle = async (arrival, tx) => {
      if (arrival.id === second.id) {
        throw new Error('no');
      }
      await recordEffect(arrival, tx);
    };
    const judge: JudgeRetry = (_, attempt) => {
      attempts.push(attempt);
      return HELD;
    };

    await inbox.releaseDue(failSecond, judge);
    expect([await effects(), attempts]).toEqual([[first.id], [1]]);
    expect(await inbox.releaseDue(recordEffect, judge)).toMatchObject({ applied: 2 });
    expect(await effects()).toEqual(idsOf([first, second, third]));
  });

  it('takes no handler for done that went on after a failed statement', async () => {
    await setAside(HELD, arrivalOf({ position: 2 }));
    const swallow: Handle = async (_, tx) => {
      await tx.query('select 1 / 0').catch(() => undefined);
    };

    expect(await inbox.releaseDue(swallow, () => HELD)).toMatchObject({ applied: 0, heldAgain: 1 });
  });

  it.each([
    ['ends its connection', 'select pg_terminate_backend(pg_backend_pid())'],
    ['fails as if there were no database', `do $$ begin raise 'no space' using errcode = '53400'; end $$`],
  ])('puts off a chain whose handler %s, uncounted, and goes on with the others', async (_, sql) => {
    const bad = arrivalOf({ key: 'bad', position: 2 });
    const good = arrivalOf({ key: 'good', position: 3 });
    await setAside(HELD, bad, good);
    const handle: Handle = async (arrival, tx) => {
      if (arrival.id === bad.id) {
        await tx.query(sql);
      }
      await recordEffect(arrival, tx);
    };

    expect(await inbox.releaseDue(handle, judgeAsReleaser)).toMatchObject({ applied: 1, heldAgain: 1, parked: [] });

    expect(await effects()).toEqual([good.id]);
    const { rows } = await observer.query(`select attempts, status, code, next_try > clock_timestamp() as is_later
      from millrace.inbox_held_key`);
    expect(rows).toEqual([{ attempts: 0, status: 'held', code: 'unavailable', is_later: true }]);
  });

  it('goes on with the other chains when one cannot be held again, and rejects at the end', async () => {
    const [bad, good] = [arrivalOf({ key: 'bad', position: 2 }), arrivalOf({ key: 'good', position: 3 })];
    await setAside(HELD, bad, good);
    const handle: Handle = async (arrival, tx) => {
      await recordEffect(arrival, tx);
      if (arrival.id === bad.id) {
        throw new Error('bad');
      }
    };
    const judge: JudgeRetry = () => {
      throw new Error('no verdict');
    };

    await expect(inbox.releaseDue(handle, judge)).rejects.toThrow('no verdict');

    expect(await effects()).toEqual([good.id]);
  });

  it('ends when there is no connection any more, and has changed nothing', async () => {
    const [first, second] = [arrivalOf({ key: 'first', position: 2 }), arrivalOf({ key: 'second', position: 3 })];
    await setAside(HELD, first, second);
    const closing = await openDataSource(database.url);
    const tried: string[] = [];
    let closed = Promise.resolve();
    const lose: Handle = (arrival) => {
      tried.push(arrival.id);
      closed = closing.destroy();
      return Promise.reject(new Error('lost'));
    };

    const round = new Inbox({ consumer: 'stock', dataSource: closing }).releaseDue(lose, judgeAsReleaser);

    await expect(round).rejects.toMatchObject({ code: 'unavailable' });
    await closed;
    expect(tried).toEqual([first.id]);
    expect(await inbox.releaseDue(recordEffect, judgeNever)).toMatchObject({ applied: 2 });
    expect(await effects()).toEqual(idsOf([first, second]));
  });

  it('does a bounded number of events per call, and the rest with the next', async () => {
    const events = Array.from({ length: 230 }, (_, n) => arrivalOf({ position: n + 2 }));
    await setAside(HELD, events[0] ?? arrivalOf());
    await inbox.apply(events.slice(1), recordEffect);

    expect(await inbox.releaseDue(recordEffect, judgeNever)).toMatchObject({ applied: 200, nextDueInMs: 0 });
    expect(await inbox.releaseDue(recordEffect, judgeNever)).toMatchObject({ applied: 30, nextDueInMs: null });
    expect(await effects()).toEqual(idsOf(events));
  });

  it('leaves a chain to the member that is at it', async () => {
    await setAside(HELD, ...eventsOf(2));
    const gate = createGate();
    const started = createGate();
    const slow = inbox.releaseDue(async (arrival, tx) => {
      started.open();
      await gate.opened;
      await recordEffect(arrival, tx);
    }, judgeNever);
    await started.opened;

    expect(await other.releaseDue(recordEffect, judgeNever)).toMatchObject({ applied: 0, nextDueInMs: 250 });
    gate.open();
    expect(await slow).toMatchObject({ applied: 1 });
  });
});

describe('an arrival beside a release', () => {
  it('waits for the last event of the chain, and is applied after it', async () => {
    const [head = arrivalOf(), later = arrivalOf()] = eventsOf(2, 3);
    await setAside(HELD, head);
    const gate = createGate();
    const started = createGate();
    const release = inbox.releaseDue(async (arrival, tx) => {
      started.open();
      await gate.opened;
      await recordEffect(arrival, tx);
    }, judgeNever);
    await started.opened;

    const arrival = other.apply([later], recordEffect);
    await waitersFor(observer);
    gate.open();

    expect(await arrival).toEqual(['applied']);
    expect(await release).toMatchObject({ applied: 1 });
    expect(await effects()).toEqual(idsOf([head, later]));
  });

  it('joins the chain when the release fails, and is released after its head', async () => {
    const [head = arrivalOf(), later = arrivalOf()] = eventsOf(2, 3);
    await setAside(HELD, head);
    const gate = createGate();
    const started = createGate();
    const release = inbox.releaseDue(
      async () => {
        started.open();
        await gate.opened;
        throw new Error('again');
      },
      () => HELD,
    );
    await started.opened;

    const arrival = other.apply([later], recordEffect);
    await waitersFor(observer);
    gate.open();

    expect([await arrival, (await release).heldAgain]).toEqual([['chained'], 1]);
    await other.releaseDue(recordEffect, judgeNever);
    expect(await effects()).toEqual(idsOf([head, later]));
  });

  it('that has joined and not committed is waited for, and not left behind', async () => {
    const [head = arrivalOf(), later = arrivalOf(), busy = arrivalOf({ key: 'busy', position: 4 })] = eventsOf(2, 3);
    await setAside(HELD, head);
    const gate = createGate();
    const started = createGate();
    // the batch has joined the chain and is still at another event
    const batch = other.apply([later, busy], async (arrival, tx) => {
      started.open();
      await gate.opened;
      await recordEffect(arrival, tx);
    });
    await started.opened;

    const release = inbox.releaseDue(recordEffect, judgeNever);
    await waitersFor(observer);
    gate.open();

    expect([await batch, (await release).applied]).toEqual([['chained', 'applied'], 2]);
    expect(await effects()).toEqual(idsOf([busy, head, later]));
  });
});

describe('a chain', () => {
  it('cannot lose its key while it has events', async () => {
    await setAside(HELD, arrivalOf({ position: 2 }));

    await expect(observer.query('delete from millrace.inbox_held_key')).rejects.toMatchObject({ code: '23503' });
  });
});
