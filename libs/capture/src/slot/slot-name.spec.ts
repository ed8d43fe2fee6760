import { describe, expect, it } from '@jest/globals';
import { slotName, slotPrefix } from './slot-name.js';

const owner = (route: string, databaseOid = '16384'): { route: string; databaseOid: string } => ({
  route,
  databaseOid,
});

describe('the name of a slot', () => {
  it('shows the route and is one that PostgreSQL takes', () => {
    expect(slotName(owner('default'), 'form')).toMatch(/^millrace_default_[0-9a-f]{8}_[0-9a-f]{8}$/);
    const long = slotName(owner('Bestellungen/Köln.2 '.repeat(20)), 'form');
    expect(long).toMatch(/^millrace_bestellungen_k_ln_2_bestellung_[0-9a-f]{8}_[0-9a-f]{8}$/);
    expect(long.length).toBeLessThanOrEqual(63);
  });

  it('is the same each time, and begins with what all slots of the route begin with', () => {
    expect(slotName(owner('orders'), 'form')).toBe(slotName(owner('orders'), 'form'));
    expect(slotName(owner('orders'), 'form')).not.toBe(slotName(owner('orders'), 'other form'));
    expect(slotName(owner('orders'), 'other form').startsWith(slotPrefix(owner('orders')))).toBe(true);
  });

  it.each([
    ['that differ in what is cleaned', owner('a.b'), owner('a-b')],
    ['that differ in case', owner('Orders'), owner('orders')],
    ['that differ beyond the cut', owner('x'.repeat(40)), owner('x'.repeat(41))],
    ['one of which begins like the other', owner('a'), owner('a_b')],
    ['of two databases', owner('orders', '16384'), owner('orders', '16385')],
  ])('keeps two routes apart %s', (_difference, one, other) => {
    expect(slotPrefix(one).startsWith(slotPrefix(other))).toBe(false);
    expect(slotPrefix(other).startsWith(slotPrefix(one))).toBe(false);
  });
});
