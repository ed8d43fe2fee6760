import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../setup/paths.mjs';

/** The programs of an image, as they are run without their configuration, and what they say when all was found. */
const CLI = { program: ['node_modules/.bin/millrace', '--help'], says: /migrate/ };
const RELAY = { program: ['dist/apps/relay/main.js'], says: /DATABASE_URL is not set/ };

/** The apps that have an image, and one that has none of its own: the command line alone, as in its package. */
export const PRODUCTION_INSTALLS = ['relay', 'order', 'inventory', 'payment', 'cli'];

function programsOf(app) {
  switch (app) {
    case 'cli':
      return [CLI];
    case 'relay':
      return [RELAY, CLI];
    default:
      return [
        { program: [`dist/apps/${app}/main.js`], says: /DATABASE_URL is not set/ },
        { program: [`dist/apps/${app}/migrate.js`], says: /DATABASE_URL is not set/ },
        CLI,
      ];
  }
}

/**
 * Installs one app as the Dockerfile does, in a folder of its own with nothing but what package.json files declare, and
 * starts its programs. An undeclared dependency, which hoisting hides in the workspace, is missing here. Returns whether
 * all of them started.
 */
export function checkProductionInstall(app) {
  const folder = mkdtempSync(join(tmpdir(), `millrace-${app}-`));
  try {
    copyWorkspace(folder, app);
    const workspaces = [...new Set([app, 'cli'])].map((name) => `--workspace=apps/${name}`);
    const install = spawnSync('npm', ['ci', '--omit=dev', ...workspaces, '--loglevel=error'], {
      cwd: folder,
      encoding: 'utf8',
    });
    if (install.status !== 0) {
      console.log(install.stderr);
      return false;
    }
    return programsOf(app).every((one) => starts(folder, app, one));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function starts(folder, app, { program: [file, ...programArguments], says }) {
  const start = spawnSync(process.execPath, [join(folder, file), ...programArguments], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, NODE_ENV: 'production' },
    timeout: 30_000,
  });
  const output = start.stdout + start.stderr;
  if (!says.test(output)) {
    console.log(`In the production install of ${app}, ${file} was to say ${says}, but said:\n${output}`);
    return false;
  }
  return true;
}

function copyWorkspace(folder, app) {
  for (const file of ['package.json', 'package-lock.json', '.npmrc', 'apps/cli/millrace.mjs']) {
    copy(folder, file);
  }
  for (const parent of ['libs', 'apps']) {
    for (const name of readdirSync(join(ROOT, parent))) {
      copy(folder, join(parent, name, 'package.json'));
    }
  }
  for (const lib of readdirSync(join(ROOT, 'libs'))) {
    copy(folder, join('libs', lib, 'dist'));
  }
  copy(folder, 'dist/apps/cli');
  copy(folder, `dist/apps/${app}`);
}

function copy(folder, path) {
  if (existsSync(join(ROOT, path))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  }
}
