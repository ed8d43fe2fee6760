import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Above the limit of any test: a wrong rule may show only in a wait that is in vain. */
const LONGEST_RUN_MS = 400_000;

/**
 * Runs one spec file of a workspace, or the tests in it whose names hold `only`. Returns `green`, `red` with the first
 * failed test, or `broken` when the file did not even run: that proves nothing.
 */
export async function runSpec(folder, { path, only, seed }, servers) {
  const results = join(folder, 'results.json');
  rmSync(results, { force: true });
  const output = await jest(folder, { path, only, seed, results }, servers);
  if (!existsSync(results)) {
    return { kind: 'broken', detail: output.slice(-2_000) };
  }
  const { numFailedTests, numPassedTests, numRuntimeErrorTestSuites, testResults } = JSON.parse(
    readFileSync(results, 'utf8'),
  );
  if (numFailedTests > 0) {
    const failed = testResults.flatMap((file) => file.assertionResults).find(({ status }) => status === 'failed');
    return { kind: 'red', detail: `${failed.title}: ${firstLines(failed.failureMessages)}` };
  }
  return numPassedTests > 0 && numRuntimeErrorTestSuites === 0
    ? { kind: 'green', detail: '' }
    : { kind: 'broken', detail: output.slice(-2_000) };
}

async function jest(folder, { path, only, seed, results }, servers) {
  const child = spawn(
    join(folder, 'node_modules', '.bin', 'node'),
    [
      ...['--experimental-vm-modules', '--no-warnings', join('node_modules', 'jest', 'bin', 'jest.js')],
      ...['--json', `--outputFile=${results}`, '--forceExit', '--runTestsByPath', path],
      ...(only === undefined ? [] : ['--testNamePattern', only]),
    ],
    {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...servers, ...(seed === undefined ? {} : { MILLRACE_LEDGER_SEEDS: String(seed) }) },
    },
  );
  let output = '';
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_RUN_MS);
  await new Promise((resolve) => {
    child.once('close', resolve);
  });
  clearTimeout(timer);
  return output;
}

/** What jest says of a failure, in one line: without colours and without the place in the code. */
function firstLines(messages) {
  const [message = ''] = messages;
  // eslint-disable-next-line no-control-regex -- jest colours its messages
  const plain = message.replace(/\u001b\[\d+m/g, '').split('\n    at ')[0];
  return plain
    .replace(/^Error: /, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200);
}
