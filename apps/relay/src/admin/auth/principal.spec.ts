import { describe, expect, it } from '@jest/globals';
import { isAllowed, type Role } from './principal.js';

const ROLES: readonly Role[] = ['viewer', 'payload-viewer', 'operator', 'admin'];

describe('roles', () => {
  it.each([
    ['viewer', ['viewer']],
    ['payload-viewer', ['viewer', 'payload-viewer']],
    ['operator', ['viewer', 'operator']],
    ['admin', ['viewer', 'payload-viewer', 'operator', 'admin']],
  ] as const)('%s may do what %j may', (role, allowed) => {
    expect(ROLES.filter((demanded) => isAllowed({ name: 'someone', role }, demanded))).toEqual(allowed);
  });
});
