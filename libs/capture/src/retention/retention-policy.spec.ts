import { describe, expect, it } from '@jest/globals';
import { retentionProblems } from './retention-policy.js';

describe('a policy', () => {
  it('that can be used has no problems', () => {
    expect(retentionProblems({ keepMs: 0, maxAgeMs: null, maxBytes: null })).toEqual([]);
    expect(retentionProblems({ keepMs: 10, maxAgeMs: 10, maxBytes: 1 })).toEqual([]);
  });

  it('is told everything that is wrong with it, by field', () => {
    expect(
      retentionProblems({ keepMs: -1, maxAgeMs: -2, maxBytes: 0 }).map((problem) => problem.split(' ')[0]),
    ).toEqual(['keep', 'maxAge', 'maxBytes']);
    expect(retentionProblems({ keepMs: 10, maxAgeMs: 9, maxBytes: 0.5 })).toHaveLength(2);
    expect(retentionProblems({ keepMs: 100_001 * 86_400_000, maxAgeMs: null, maxBytes: null })).toHaveLength(1);
  });
});
