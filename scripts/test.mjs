import { continueOnPinnedNode, installIfNeeded } from './setup/install.mjs';
import { runMain } from './setup/command-error.mjs';
import { requireJavaAndMaven, requireNode } from './setup/prerequisites.mjs';
import { KINDS, runJest } from './test/run-jest.mjs';

/**
 * `npm test`, `npm run test:unit|test:int|test:e2e [-- jest arguments]`. Runs on the machine's Node 20 or later with
 * nothing installed. The last line is `N passed, N failed`.
 */
async function main() {
  const [first, ...rest] = process.argv.slice(2);
  const kind = first !== undefined && first in KINDS ? first : 'all';
  const jestArguments = kind === 'all' ? process.argv.slice(2) : rest;
  requireNode();
  if (kind !== 'unit' && process.env.MILLRACE_TEST_KAFKA_BROKERS === undefined) {
    requireJavaAndMaven('name a Kafka of your own in MILLRACE_TEST_KAFKA_BROKERS');
  }
  installIfNeeded();
  await continueOnPinnedNode();
  await runJest(kind, jestArguments);
}

await runMain(main, '0 passed, 1 failed');
