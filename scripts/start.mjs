import { runMain } from './setup/command-error.mjs';
import { isFirstProcess } from './setup/first-process.mjs';
import { continueOnPinnedNode, installIfNeeded } from './setup/install.mjs';
import { kafkaObstacle, requireNode } from './setup/prerequisites.mjs';
import { HELP, parseArguments } from './start/arguments.mjs';
import { requireBrokers } from './start/brokers.mjs';
import { hasPredecessor } from './start/instance-lock.mjs';
import { requirePorts } from './start/ports.mjs';
import { readSettings, wantedPorts } from './start/settings.mjs';

/**
 * `npm start`: everything from nothing, on the machine's Node 20 or later. What it needs of other packages comes after
 * the installation, on the pinned Node.
 */
async function main() {
  const { isFresh, isHelp, isWithoutKafka } = parseArguments(process.argv.slice(2));
  if (isHelp) {
    console.log(HELP);
    return;
  }
  requireNode();
  const settings = readSettings(process.env, { isWithoutKafka, kafkaObstacle });
  if (isFirstProcess) {
    await requireSurroundings(settings);
  }
  installIfNeeded();
  await continueOnPinnedNode();
  const { run } = await import('./start/run.mjs');
  await run(settings, { isFresh });
}

/** What would fail later anyway, before the installation takes its minutes. */
async function requireSurroundings(settings) {
  await requirePorts(wantedPorts(settings), hasPredecessor());
  if (settings.kafka.brokers !== undefined) {
    await requireBrokers(settings.kafka.brokers);
  }
}

await runMain(main);
