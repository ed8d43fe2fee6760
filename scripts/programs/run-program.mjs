import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { CommandError } from '../setup/command-error.mjs';
import { continueOnPinnedNode, installIfNeeded } from '../setup/install.mjs';
import { onParentGone } from '../setup/parent.mjs';
import { ROOT } from '../setup/paths.mjs';
import { requireJavaAndMaven, requireNode } from '../setup/prerequisites.mjs';

/** Builds everything, then runs `dist/test/<name>/main.js` with this script's arguments and ends with its exit code. */
export async function runProgram(name) {
  requireNode();
  requireJavaAndMaven('run this where they are');
  installIfNeeded();
  await continueOnPinnedNode();
  for (const project of ['.', 'test/tsconfig.build.json']) {
    const built = spawnSync(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-b', project], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    if (built.status !== 0) {
      throw new CommandError('The build failed, see above.');
    }
  }
  const program = spawn(
    process.execPath,
    ['--enable-source-maps', join(ROOT, 'dist', 'test', name, 'main.js'), ...process.argv.slice(2)],
    { stdio: 'inherit' },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => program.kill(signal));
  }
  onParentGone(() => program.kill('SIGTERM'));
  process.exitCode = await new Promise((resolve, reject) => {
    program.once('error', reject);
    program.once('exit', (status) => resolve(status ?? 1));
  });
}
