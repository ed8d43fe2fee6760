import { parseInvariantsArguments, HELP } from './invariants/arguments.mjs';
import { readServices } from './invariants/read-services.mjs';
import { exitCodeOf, reportText } from './invariants/report.mjs';
import { CommandError, runMain } from './setup/command-error.mjs';
import { continueOnPinnedNode } from './setup/install.mjs';
import { requireNode } from './setup/prerequisites.mjs';

const BETWEEN_READINGS_MS = 1000;

/** `npm run invariants`: asks the three services for their rules and figures, and adds up across them. */
async function main() {
  requireNode();
  const { isHelp, urls, waitSeconds } = parseInvariantsArguments(process.argv.slice(2), process.env);
  if (isHelp) {
    console.log(HELP);
    return;
  }
  await continueOnPinnedNode();
  const { addUp } = await contracts();
  const deadline = performance.now() + waitSeconds * 1000;
  for (;;) {
    const isLast = performance.now() >= deadline;
    const reading = await readServices(urls).catch((error) => {
      if (isLast) {
        throw error;
      }
    });
    if (reading !== undefined) {
      const conservation = addUp(reading.services);
      const outcome = { ...reading, conservation, waitSeconds };
      const isBroken = exitCodeOf({ ...outcome, waitSeconds: 0 }) !== 0;
      if (isLast || isBroken || conservation.isAtRest) {
        console.log(reportText(outcome));
        process.exitCode = exitCodeOf(outcome);
        return;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_READINGS_MS));
  }
}

async function contracts() {
  try {
    return await import('@millrace/contracts');
  } catch (cause) {
    throw new CommandError('The build is missing: run `npm run build` first, or `npm start`, which builds too.', {
      cause,
    });
  }
}

await runMain(main);
