import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { checkLinks } from './check/links.mjs';
import { checkProductionInstall, PRODUCTION_INSTALLS } from './check/production-install.mjs';
import { CommandError, runMain } from './setup/command-error.mjs';
import { continueOnPinnedNode, installIfNeeded } from './setup/install.mjs';
import { ROOT } from './setup/paths.mjs';
import { requireNode } from './setup/prerequisites.mjs';

/** The steps in the order of how soon they tell; all are run, so that one run names everything that is wrong. */
const STEPS = [
  { title: 'format', run: () => tool('prettier', '--check', '--log-level', 'warn', '.') },
  { title: 'links of the documents', run: () => checkLinks() },
  { title: 'build', run: () => tool('tsc', '-b') },
  { title: 'types of the tests', run: () => tool('tsc', '-p', 'test/tsconfig.json', '--noEmit') },
  { title: 'lint', run: () => tool('eslint', '.', '--max-warnings', '0') },
  {
    title: 'dependency rules',
    run: () => tool('depcruise', '--config', '.dependency-cruiser.cjs', '--output-type', 'err', 'libs', 'apps'),
  },
  ...PRODUCTION_INSTALLS.map((app) => ({
    title: `production install of ${app}`,
    run: () => checkProductionInstall(app),
  })),
];

/** `npm run check`: everything but the tests. */
async function main() {
  requireNode();
  installIfNeeded();
  await continueOnPinnedNode();
  const failed = [];
  for (const { title, run } of STEPS) {
    const startedAt = performance.now();
    const isPassed = run();
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    console.log(`${isPassed ? 'ok    ' : 'FAILED'} ${title} (${seconds} s)`);
    if (!isPassed) {
      failed.push(title);
    }
  }
  if (failed.length > 0) {
    throw new CommandError(`The check failed: ${failed.join(', ')}.`);
  }
}

function tool(name, ...toolArguments) {
  const programs = join(ROOT, 'node_modules', '.bin');
  const environment = { ...process.env, PATH: `${programs}${delimiter}${process.env.PATH}` }; // its node is the pinned one
  return spawnSync(join(programs, name), toolArguments, { cwd: ROOT, stdio: 'inherit', env: environment }).status === 0;
}

await runMain(main);
