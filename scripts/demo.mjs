import { HELP, parseDemoArguments } from './demo/arguments.mjs';
import { findOrStart } from './demo/running-system.mjs';
import { runMain } from './setup/command-error.mjs';
import { continueOnPinnedNode, installIfNeeded } from './setup/install.mjs';
import { requireNode } from './setup/prerequisites.mjs';

/** `npm run demo`: orders against the running system, and in the end the sums. */
async function main() {
  const options = parseDemoArguments(process.argv.slice(2));
  if (options.isHelp) {
    console.log(HELP);
    return;
  }
  requireNode();
  installIfNeeded();
  await continueOnPinnedNode();
  const { instance, letGo } = await findOrStart();
  try {
    // only now: it imports what the start has built
    const { runDemo } = await import('./demo/run-demo.mjs');
    process.exitCode = await runDemo(options, instance);
  } finally {
    await letGo();
  }
}

await runMain(main);
