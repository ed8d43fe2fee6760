import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CommandError } from '../setup/command-error.mjs';
import { parseInvariantsArguments } from './arguments.mjs';
import { readServices } from './read-services.mjs';
import { exitCodeOf, reportText } from './report.mjs';

describe('npm run invariants -- ...', () => {
  it('takes the services of npm start where it is told no others', () => {
    const { urls, waitSeconds } = parseInvariantsArguments(['--payment', 'https://pay.test/x'], { ORDER_PORT: '4001' });
    expect(Object.values(urls).map(String)).toEqual([
      'http://127.0.0.1:4001/',
      'http://127.0.0.1:3002/',
      'https://pay.test/x',
    ]);
    expect(waitSeconds).toBe(0);
  });

  it.each([['--wait', 'long'], ['--wait', '9999'], ['--orders', 'x'], ['--order', 'ftp://x'], ['more']])(
    'refuses %s %s with one sentence',
    (...given) => {
      expect(() => parseInvariantsArguments(given, {})).toThrow(CommandError);
    },
  );
});

describe('the services', () => {
  const asked = [];
  let server;
  let url;
  let status = 200;

  beforeAll(async () => {
    server = createServer((request, response) => {
      const service = request.headers.host.startsWith('localhost')
        ? 'order'
        : asked.length % 2
          ? 'inventory'
          : 'payment';
      asked.push(service);
      response.writeHead(status).end(JSON.stringify({ service, figures: { n: asked.length }, detail: 'Busy.' }));
    });
    await new Promise((resolve) => server.listen(0, resolve));
    url = (host) => new URL(`http://${host}:${server.address().port}`);
  });

  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('are asked for effects before causes', async () => {
    const other = url('127.0.0.1');
    const { services } = await readServices({ order: url('localhost'), inventory: other, payment: other });
    expect(asked).toEqual(['payment', 'inventory', 'order', 'inventory', 'payment']);
    expect(Object.values(services).map(({ n }) => n)).toEqual([1, 2, 3, 4, 5]);
  });

  it('are told apart, and a failure says which one and what to do', async () => {
    const order = url('localhost');
    await expect(readServices({ order, inventory: order, payment: order })).rejects.toThrow('--payment URL');
    status = 503;
    await expect(readServices({ order, inventory: order, payment: order })).rejects.toThrow(
      'payment service answers 503: Busy.',
    );
    const nobody = new URL('http://127.0.0.1:9');
    await expect(readServices({ order, inventory: order, payment: nobody })).rejects.toThrow('start it (npm start)');
  });
});

const tally = (count, cents) => ({ count, cents });
const invariant = { name: 'order-totals', rule: 'Totals are sums.', holds: true, numbers: { totalCents: '1234' } };
const report = {
  service: 'order',
  checkedAt: '2026-01-01T00:00:00.000Z',
  holds: true,
  figures: { orders: { pending: tally(1, '1234567') }, refundsRequested: tally(0, '0') },
  invariants: [invariant],
};
const rule = {
  name: 'sold-was-confirmed',
  kind: 'always',
  state: 'holds',
  left: { what: 'sold reservations', ...tally(1, 10n) },
  right: { what: 'confirmed orders', ...tally(2, 20n) },
};
const rest = { ...rule, name: 'confirmed-is-sold', kind: 'at-rest' };
const outcomeOf = (rules, invariants = [invariant], waitSeconds = 0) => ({
  reports: [{ ...report, invariants, holds: invariants.every(({ holds }) => holds !== false) }],
  conservation: {
    rules,
    holds: rules.every(({ state }) => state !== 'broken'),
    isAtRest: rules.every(({ state }) => state === 'holds'),
  },
  waitSeconds,
});

describe('the report', () => {
  it('says that all is well, with the numbers', () => {
    const outcome = outcomeOf([rule, rest]);
    const text = reportText(outcome);
    expect(text).toContain('orders: pending 1 (1,234,567 cents)');
    expect(text).toContain(
      'ok      sold-was-confirmed: sold reservations 1 (10 cents) <= confirmed orders 2 (20 cents)',
    );
    expect(text).toMatch(/Everything holds, and nothing is on its way\.$/);
    expect(exitCodeOf(outcome)).toBe(0);
  });

  it('takes open rules for what is on its way, and for a fault only after it has waited', () => {
    const open = [rule, { ...rest, state: 'open' }];
    expect(reportText(outcomeOf(open))).toMatch(/On its way: confirmed-is-sold\. /);
    expect(exitCodeOf(outcomeOf(open))).toBe(0);
    expect(reportText(outcomeOf(open, [invariant], 30))).toMatch(/NOT AT REST after 30 s: confirmed-is-sold\. /);
    expect(exitCodeOf(outcomeOf(open, [invariant], 30))).toBe(1);
  });

  it('names what is broken, in a service or across them', () => {
    const across = outcomeOf([{ ...rule, state: 'broken' }]);
    expect([exitCodeOf(across), reportText(across)]).toEqual([
      1,
      expect.stringMatching(/BROKEN: sold-was-confirmed\./),
    ]);
    const inside = outcomeOf([rule], [{ ...invariant, holds: false }]);
    expect(exitCodeOf(inside)).toBe(1);
    expect(reportText(inside)).toContain('BROKEN  order-totals: Totals are sums.\n          totalCents 1,234');
    expect(reportText(inside)).toMatch(/BROKEN: order-totals \(order\)\./);
  });

  it('does not take what was not checked for broken', () => {
    const unchecked = outcomeOf([rule], [{ ...invariant, holds: null, numbers: {} }]);
    expect(exitCodeOf(unchecked)).toBe(0);
    expect(reportText(unchecked)).toContain('not checked');
  });
});
