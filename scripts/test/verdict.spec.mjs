import { describe, expect, it } from '@jest/globals';
import { verdictOf } from './verdict.mjs';

const GOOD = {
  numTotalTests: 12,
  numPassedTests: 12,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numPendingTestSuites: 0,
  numRuntimeErrorTestSuites: 0,
};

const run = (results, ending = {}) =>
  verdictOf({ results: results && { ...GOOD, ...results }, status: 0, hasHung: false, ...ending });

describe('the verdict on a test run', () => {
  it('is good when every test passed', () => {
    expect(run({})).toEqual({ passed: 12, failed: 0, problems: [] });
  });

  it('counts failed tests and files that could not be run', () => {
    const verdict = run({ numPassedTests: 10, numFailedTests: 2, numRuntimeErrorTestSuites: 1 }, { status: 1 });
    expect(verdict).toEqual({ passed: 10, failed: 3, problems: [] });
  });

  it.each([
    ['a skipped test', { numPendingTests: 1 }, {}, '1 tests were skipped or are still to be written.'],
    ['a test to be written', { numTodoTests: 2 }, {}, '2 tests were skipped or are still to be written.'],
    ['no test at all', { numTotalTests: 0, numPassedTests: 0 }, {}, 'No test was run.'],
    ['a run that does not end', {}, { hasHung: true, status: null }, /did not end by itself/],
    ['a failure outside of the tests', {}, { status: 1 }, 'jest ended with code 1; see above.'],
    ['a run without results', undefined, { status: 1 }, 'The run ended before its tests did; see above.'],
  ])('is one failure more for %s', (_name, results, ending, sentence) => {
    const { failed, problems } = run(results, ending);
    expect(failed).toBe(1);
    expect(problems).toEqual([expect.stringMatching(sentence)]);
  });
});
