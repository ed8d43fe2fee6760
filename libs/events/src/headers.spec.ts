import { describe, expect, it } from '@jest/globals';
import { routeOfHeader } from './headers.js';

describe('routeOfHeader', () => {
  it.each([
    ['orders', 'orders'],
    ['orders/2', 'orders'],
    ['orders/64', 'orders'],
    ['orders-2', 'orders-2'],
    ['/x', '/x'],
  ])('takes %s for %s', (value, route) => {
    expect(routeOfHeader(value)).toBe(route);
  });
});
