import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../setup/paths.mjs';

/** How each app is started without its configuration, and what it says when all its imports were found. */
const STARTS = {
  relay: { arguments: [], says: /DATABASE_URL is not set/ },
  order: { arguments: [], says: /DATABASE_URL is not set/ },
  cli: { arguments: ['--help'], says: /migrate/ },
};

/**
 * Installs one app as the Dockerfile does, in a folder of its own with nothing but what package.json files declare, and
 * starts it. An undeclared dependency, which hoisting hides in the workspace, is missing here. Returns whether it started.
 */
export function checkProductionInstall(app) {
  const folder = mkdtempSync(join(tmpdir(), `millrace-${app}-`));
  try {
    copyWorkspace(folder, app);
    const install = spawnSync('npm', ['ci', '--omit=dev', `--workspace=apps/${app}`, '--loglevel=error'], {
      cwd: folder,
      encoding: 'utf8',
    });
    if (install.status !== 0) {
      console.log(install.stderr);
      return false;
    }
    const { arguments: appArguments, says } = STARTS[app];
    const start = spawnSync(process.execPath, [join('dist', 'apps', app, 'main.js'), ...appArguments], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, NODE_ENV: 'production' },
      timeout: 30_000,
    });
    const output = start.stdout + start.stderr;
    if (!says.test(output)) {
      console.log(`The ${app} app was to say ${says}, but said:\n${output}`);
      return false;
    }
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function copyWorkspace(folder, app) {
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) {
    cpSync(join(ROOT, file), join(folder, file));
  }
  for (const parent of ['libs', 'apps']) {
    for (const name of readdirSync(join(ROOT, parent))) {
      copy(folder, join(parent, name, 'package.json'));
    }
  }
  for (const lib of readdirSync(join(ROOT, 'libs'))) {
    copy(folder, join('libs', lib, 'dist'));
  }
  copy(folder, join('dist', 'apps', app));
}

function copy(folder, path) {
  if (existsSync(join(ROOT, path))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  }
}
