import { describe, expect, it } from '@jest/globals';

describe('the workspace', () => {
  it('runs its tests on the pinned Node', () => {
    expect(process.versions.node.startsWith('24.')).toBe(true);
  });
});
