/**
 * The numbers of the last line, and the sentences before it. A run fails for what its tests say, and for each of:
 * nothing run, a test skipped or left to do, a run that had to be ended. Test files that leave something open fail by
 * test/setup/leak-environment.mjs.
 */
export function verdictOf({ results, status, hasHung }) {
  const problems = [];
  if (results === undefined) {
    problems.push('The run ended before its tests did; see above.');
    return { passed: 0, failed: problems.length, problems };
  }
  const skipped = results.numPendingTests + results.numTodoTests + results.numPendingTestSuites;
  if (skipped > 0) {
    problems.push(`${skipped} tests were skipped or are still to be written.`);
  }
  if (results.numTotalTests === 0) {
    problems.push('No test was run.');
  }
  if (hasHung) {
    problems.push('The run did not end by itself after its last test: something was left open.');
  }
  const broken = results.numFailedTests + results.numRuntimeErrorTestSuites;
  if (status !== 0 && broken + problems.length === 0) {
    problems.push(`jest ended with code ${status}; see above.`);
  }
  return { passed: results.numPassedTests, failed: broken + problems.length, problems };
}
