import { runMain } from './setup/command-error.mjs';
import { continueOnPinnedNode, installIfNeeded } from './setup/install.mjs';
import { requireJavaAndMaven, requireNode } from './setup/prerequisites.mjs';
import { HELP, parseArguments } from './start/arguments.mjs';

/**
 * `npm start`: everything from nothing, on the machine's Node 20 or later. What it needs of other packages comes after
 * the installation, on the pinned Node.
 */
async function main() {
  const { isFresh, isHelp } = parseArguments(process.argv.slice(2));
  if (isHelp) {
    console.log(HELP);
    return;
  }
  requireNode();
  if (!process.env.KAFKA_BROKERS) {
    requireJavaAndMaven('name a Kafka of your own in KAFKA_BROKERS');
  }
  installIfNeeded();
  await continueOnPinnedNode();
  const { run } = await import('./start/run.mjs');
  await run({ isFresh });
}

await runMain(main);
