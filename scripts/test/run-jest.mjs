import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { onParentGone } from '../setup/parent.mjs';
import { ROOT } from '../setup/paths.mjs';
import { verdictOf } from './verdict.mjs';

/** Which files each kind of test is in. */
export const KINDS = {
  unit: ['**/*.spec.ts', '**/*.spec.mjs'],
  int: ['**/*.int-spec.ts'],
  e2e: ['**/*.e2e-spec.ts'],
  all: ['**/*.spec.ts', '**/*.spec.mjs', '**/*.int-spec.ts', '**/*.e2e-spec.ts'],
};

const JEST = join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js');
const GRACE_MS = 60_000;
const LONGEST_RUN_MS = 40 * 60_000;
const POLL_MS = 200;

/** Runs jest on one kind of test and prints the verdict; the exit code is 1 unless all is well. */
export async function runJest(kind, jestArguments) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-jest-'));
  const resultsFile = join(folder, 'results.json');
  try {
    const ending = await jestProcess(kind, jestArguments, resultsFile);
    const results = existsSync(resultsFile) ? JSON.parse(readFileSync(resultsFile, 'utf8')) : undefined;
    const { passed, failed, problems } = verdictOf({ ...ending, results });
    for (const problem of problems) {
      console.log(problem);
    }
    console.log(`${passed} passed, ${failed} failed`);
    process.exitCode = failed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function jestProcess(kind, jestArguments, resultsFile) {
  const jest = spawn(
    process.execPath,
    [
      ...['--experimental-vm-modules', '--no-warnings', JEST, '--json', `--outputFile=${resultsFile}`],
      ...[`--maxWorkers=${Math.min(4, availableParallelism())}`, ...jestArguments, '--testMatch', ...KINDS[kind]],
    ],
    // with --json the results go to standard output as well as to the file; people read standard error
    { cwd: ROOT, stdio: ['inherit', 'ignore', 'inherit'] },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => jest.kill(signal));
  }
  onParentGone(() => jest.kill('SIGTERM'));
  const watch = watchEnding(jest, resultsFile);
  const status = await new Promise((resolve) => {
    jest.once('close', resolve);
  });
  return { status, hasHung: watch.stop() };
}

/** Ends a run that does not end by itself: some seconds after its results, or when it has taken far too long. */
function watchEnding(jest, resultsFile) {
  const started = performance.now();
  let hasHung = false;
  let resultsAt;
  const timer = setInterval(() => {
    if (resultsAt === undefined && existsSync(resultsFile)) {
      resultsAt = performance.now();
    }
    const now = performance.now();
    if (now - started > LONGEST_RUN_MS || (resultsAt !== undefined && now - resultsAt > GRACE_MS)) {
      hasHung = true;
      jest.kill('SIGKILL');
    }
  }, POLL_MS);
  return {
    stop: () => {
      clearInterval(timer);
      return hasHung;
    },
  };
}
