import { describe, expect, it } from '@jest/globals';
import { parseDemoArguments } from './arguments.mjs';
import { Bookkeeping, percentile } from './bookkeeping.mjs';
import { Chaos } from './chaos.mjs';
import { sumOf } from './gauges.mjs';
import { Plan } from './plan.mjs';
import { blockOf, duration, lineOf } from './view.mjs';

describe('the arguments of the demo', () => {
  it('have defaults', () => {
    expect(parseDemoArguments([], () => 0.5)).toEqual({
      orders: 3_000,
      ratePerSecond: 100,
      seed: 500_000,
      reportFile: undefined,
      isChaos: false,
      isHelp: false,
    });
  });

  it('take minutes for as many orders as the rate makes of them', () => {
    const given = ['--minutes', '20', '--rate', '50', '--chaos', '--seed', '0', '--report', 'x.txt'];
    expect(parseDemoArguments(given)).toMatchObject({
      orders: 60_000,
      isChaos: true,
      seed: 0,
      reportFile: 'x.txt',
    });
  });

  it.each([
    [['--orders', '0'], '--orders is not valid: give a whole number from 1 to 1000000.'],
    [['--rate', '1e3'], '--rate is not valid'],
    [['--orders', '1', '--minutes', '1'], 'takes --orders or --minutes, not both'],
    [['--fast'], "Unknown option '--fast'"],
    [['100'], 'Unexpected argument'],
  ])('refuse %j', (given, message) => {
    expect(() => parseDemoArguments(given)).toThrow(message);
  });
});

describe('the plan', () => {
  const ordersOf = (seed, number) => {
    const plan = new Plan(seed, 'run');
    return Array.from({ length: number }, () => plan.next());
  };

  it('is the same for the same seed, and another for another', () => {
    expect(ordersOf(7, 50)).toEqual(ordersOf(7, 50));
    expect(ordersOf(8, 50)).not.toEqual(ordersOf(7, 50));
  });

  it('has every kind of order and of customer, and no article twice in one order', () => {
    const steps = ordersOf(1, 2_000);
    const orders = steps.map(({ order }) => order);
    const skus = orders.map(({ body }) => body.lines.map(({ sku }) => sku));
    expect(skus.every((each) => new Set(each).size === each.length)).toBe(true);
    for (const kind of ['hot', 'shelf', 'scarce', 'empty']) {
      expect(skus.flat().some((sku) => sku.startsWith(`run-${kind}-`))).toBe(true);
    }
    for (const kind of ['rich', 'modest', 'poor']) {
      expect(orders.some(({ body }) => body.customerId.startsWith(`run-${kind}-`))).toBe(true);
    }
    expect(orders.some(({ cancelAfterMs }) => cancelAfterMs !== undefined)).toBe(true);
    expect(orders.some(({ isRepeated }) => isRepeated)).toBe(true);
    expect(orders.some(({ isRepeatedOtherwise }) => isRepeatedOtherwise)).toBe(true);
    expect(steps.some(({ delivery }) => delivery !== undefined)).toBe(true);
    expect(steps.some(({ deposit }) => deposit !== undefined)).toBe(true);
  });
});

const line = (quantity) => ({ sku: 'tea', quantity, unitPriceCents: 100 });
const booksWith = (quantities) => {
  const books = new Bookkeeping({
    stock: [{ sku: 'tea', onHand: 10 }],
    accounts: [{ customerId: 'ada', balanceCents: 1_000 }],
  });
  quantities.forEach((quantity, index) => {
    books.accepted(`o${index}`, { body: { customerId: 'ada', lines: [line(quantity)] }, placedMs: 0 });
  });
  return books;
};
const tea = (view) => ({ sku: 'tea', received: 10, onHand: 8, reserved: 0, available: 8, sold: 2, ...view });
const ada = (balanceCents) => ({ customerId: 'ada', balanceCents });

describe("the demo's books", () => {
  it('agree with the services when stock and money are what the outcomes leave', () => {
    const books = booksWith([2, 5]);
    books.final('o0', { status: 'confirmed', totalCents: 200 }, 30);
    books.final('o1', { status: 'rejected', reason: 'out-of-stock', totalCents: 500 }, 50);
    books.delivered({ sku: 'tea', quantity: 5 });
    books.deposited({ customerId: 'ada', amountCents: 50 });
    expect(books.differences([tea({ received: 15, onHand: 13, available: 13 })], [ada(850)])).toEqual([]);
    expect(books.counts).toEqual({ accepted: 2, confirmed: 1, rejected: 1, cancelled: 0 });
    expect(books.latenciesMs).toEqual([30, 50]);
    expect(books.open.size).toBe(0);
  });

  it('name every article and account that differs', () => {
    const books = booksWith([2]);
    books.final('o0', { status: 'confirmed', totalCents: 200 }, 1);
    expect(books.differences([tea({ reserved: 1, available: 7 })], [ada(1_000)])).toEqual([
      'article tea has reserved 1, and its orders leave 0',
      'article tea has available 7, and its orders leave 8',
      'account ada has 1000 cents, and its orders leave 800',
    ]);
  });

  it.each([
    ['accepted', 'confirmed', true],
    ['refused', 'cancelled', false],
  ])('find an order whose cancellation was %s and that is %s, whichever is known first', (_answer, status, isTaken) => {
    for (const isAnswerFirst of [true, false]) {
      const books = booksWith([2]);
      const order = books.open.get('o0');
      order.cancelAfterMs = 1;
      const steps = [
        () => books.cancelAnswered('o0', order, isTaken),
        () => books.final('o0', { status, totalCents: 200 }, 1),
      ];
      for (const step of isAnswerFirst ? steps : steps.toReversed()) {
        step();
      }
      expect(books.findings).toHaveLength(1);
    }
  });

  it('find an order that is cancelled and was not to be, and one whose total is not its lines', () => {
    const books = booksWith([2, 2]);
    books.final('o0', { status: 'cancelled', totalCents: 200 }, 1);
    books.final('o1', { status: 'confirmed', totalCents: 201 }, 1);
    expect(books.findings).toEqual([
      'the cancellation of order o0 was not asked for, and the order is cancelled',
      'order o1 costs 201 cents, and its lines 200',
    ]);
  });

  it('keep the first findings and count the rest', () => {
    const books = booksWith([]);
    Array.from({ length: 25 }, (_, index) => books.finding(`finding ${index}`));
    expect(books.findings).toHaveLength(21);
    expect(books.findings.at(-1)).toBe('... and 5 more');
  });
});

describe('a percentile', () => {
  it.each([
    [[], 0.5, 0],
    [[1, 2, 3, 4], 0.5, 2],
    [[1, 2, 3, 4], 0.99, 4],
    [[1, 2, 3, 4], 1, 4],
  ])('of %j at %d is %d', (sorted, share, value) => {
    expect(percentile(sorted, share)).toBe(value);
  });
});

describe('the view', () => {
  const state = {
    elapsedMs: 65_000,
    phase: 'placing orders',
    orders: 3_000,
    placed: 1_234,
    perSecond: 99.6,
    inFlight: 12,
    repeats: 3,
    books: new Bookkeeping({ stock: [], accounts: [] }),
    gauges: {
      routes: [{ name: 'order', state: 'running', lagEvents: 7 }],
      consumers: { order: { inHand: 2, held: 0, parked: 1 }, payment: undefined },
    },
    chaos: { count: 2, kills: new Map([['kafka', 2]]), last: 'kafka killed' },
  };

  it('tells on a terminal all that there is', () => {
    const text = blockOf(state).join('\n');
    expect(text).toContain('01:05   placing orders');
    expect(text).toContain('1,234 of 3,000   100/s');
    expect(text).toContain('order running 7 behind');
    expect(text).toContain('order 2 in hand 1 parked   payment down');
    expect(text).toContain('kafka 2   (kafka killed)');
  });

  it('tells it in one line elsewhere', () => {
    expect(lineOf(state)).toMatch(/^01:05 placing orders \| placed 1234\/3000 100\/s \| .* \| kills 2$/);
  });

  it('names what is wrong, and what does not answer', () => {
    state.books.finding('order x is lost');
    const text = lineOf({ ...state, gauges: { routes: undefined, consumers: {} }, chaos: undefined });
    expect(text).toMatch(/WRONG order x is lost$/);
    expect(duration(3_605_000)).toBe('60:05');
  });
});

describe('a metric', () => {
  const text = '# HELP x y\nx_total 9\nx{a="1"} 2\nx{a="2"} 3.5\n';

  it('is the sum over its labels, or those of one, and nothing when it is not told', () => {
    expect(sumOf(text, 'x')).toBe(5.5);
    expect(sumOf(text, 'x', 'a="2"')).toBe(3.5);
    expect(sumOf(text, 'y')).toBeUndefined();
  });
});

describe('the kills', () => {
  it('wait until a program is back before it is killed again', async () => {
    const pids = { relay: 100 };
    const killed = [];
    let onKill = () => undefined;
    const chaos = new Chaos(1, {
      pauseMs: { shortest: 1, longest: 2 },
      read: () => ({ processes: Object.entries(pids).map(([name, pid]) => ({ name, pid })) }),
      kill: (pid, signal) => {
        killed.push([pid, signal]);
        onKill();
      },
    });
    const whenKilled = async (times) =>
      new Promise((resolve) => {
        onKill = () => (killed.length === times ? resolve() : undefined);
      });
    const first = whenKilled(1);
    chaos.start();
    await first;
    const second = whenKilled(2);
    pids.relay = 101;
    await second;
    pids.relay = 102;
    expect(await chaos.stop()).toEqual([]);
    expect(killed.slice(0, 2)).toEqual([
      [100, 'SIGKILL'],
      [101, 'SIGKILL'],
    ]);
    expect(chaos.backAfterMs.length).toBe(chaos.count);
  });
});
