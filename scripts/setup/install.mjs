import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from './command-error.mjs';
import { toNextProcess } from './first-process.mjs';
import { passOnSignals } from './parent.mjs';
import { PINNED_NODE, ROOT } from './paths.mjs';

const PINNED_MAJOR = 24;
const INTERRUPTED = 130;

/** Runs `npm ci` when node_modules is missing, unfinished, or not what package-lock.json says. */
export function installIfNeeded() {
  const wanted = readLock('package-lock.json');
  const installed = readLock(join('node_modules', '.package-lock.json'));
  if (isInstalled(wanted, installed) && existsSync(PINNED_NODE)) {
    return;
  }
  console.log('Installing the dependencies of package-lock.json (npm ci) ...');
  const npm = untilItEnds(() =>
    spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: ROOT, stdio: 'inherit' }),
  );
  if (npm.error !== undefined || npm.status !== 0) {
    throw new CommandError(
      '`npm ci` failed, see above: check the network and the registry that npm uses, then run this again.',
    );
  }
  if (spawnSync(PINNED_NODE, ['--version'], { stdio: 'ignore' }).status !== 0) {
    throw new CommandError(
      'Node 24, which npm installs as the package `node`, cannot be run: check that npm may run install scripts ' +
        '(`npm config get ignore-scripts` must be false), remove node_modules and run this again.',
    );
  }
}

/** Ctrl-C reaches npm as well, which clears up for a second or two: a start beside it would find half a node_modules. */
function untilItEnds(runNpm) {
  const waitForNpm = () => undefined;
  process.on('SIGINT', waitForNpm);
  const npm = runNpm();
  process.off('SIGINT', waitForNpm);
  if (npm.signal === 'SIGINT' || npm.status === INTERRUPTED) {
    process.exit(INTERRUPTED);
  }
  return npm;
}

/** Whether all that one lock file wants, but for optional packages of other systems, is in the other in that version. */
export function isInstalled(wanted, installed) {
  if (wanted === undefined || installed === undefined) {
    return false;
  }
  return Object.entries(wanted.packages).every(([path, entry]) => {
    if (!path.startsWith('node_modules/')) {
      return true;
    }
    const found = installed.packages[path];
    return found === undefined ? entry.optional === true : found.version === entry.version;
  });
}

/** Runs this script again on the pinned Node unless it is on it already, and ends with its exit code. */
export async function continueOnPinnedNode() {
  if (Number(process.versions.node.split('.')[0]) === PINNED_MAJOR) {
    return;
  }
  const child = spawn(PINNED_NODE, process.argv.slice(1), {
    stdio: 'inherit',
    env: { ...process.env, ...toNextProcess },
  });
  passOnSignals(child);
  const [status, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (...ending) => resolve(ending));
  });
  process.exit(status ?? (signal === null ? 1 : 128));
}

function readLock(path) {
  const file = join(ROOT, path);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}
