import { describe, expect, it } from '@jest/globals';
import { isForRoute } from './only-route.js';

describe('a row of the outbox', () => {
  it.each([
    ['has no headers', null, true],
    ['has headers of its producer alone', '{"tenant": "t"}', true],
    ['is a copy for the route', '{"tenant": "t", "millrace-only-route": "orders"}', true],
    ['is a copy for another one', '{"millrace-only-route": "audit"}', false],
    ['only speaks of copies', String.raw`{"text": "\"millrace-only-route\": \"audit\""}`, true],
    ['has the name deeper down', '{"nested": "{\\"millrace-only-route\\": \\"audit\\"}"}', true],
  ])('that %s', (_, headers, isWanted) => {
    expect(isForRoute(headers, 'orders')).toBe(isWanted);
  });
});
