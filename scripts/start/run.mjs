import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { CommandError } from '../setup/command-error.mjs';
import { sinceFirstProcessMs } from '../setup/first-process.mjs';
import { LOCAL, ROOT } from '../setup/paths.mjs';
import { isKafkaFetched } from '../setup/prerequisites.mjs';
import { takeInstance } from './instance-lock.mjs';
import { say } from './say.mjs';
import { Shutdown } from './shutdown.mjs';
import { welcome } from './welcome.mjs';

/** Builds, starts everything in order, and waits until it is told to stop. Leaves nothing, also when it fails. */
export async function run(settings, { isFresh }) {
  takeInstance();
  process.env.NODE_COMPILE_CACHE ||= join(LOCAL, 'compile-cache'); // a fifth off the start of every app
  const shutdown = new Shutdown();
  try {
    build();
    // only now: these import what was just built
    const { startAll } = await import('./start-all.mjs');
    const urls = await startAll(settings, { isFresh, shutdown });
    const seconds = (sinceFirstProcessMs() / 1_000).toFixed(0);
    console.log(welcome({ ...urls, seconds, hasLocalConsumer: isKafkaFetched() }));
    await shutdown.requested;
  } catch (error) {
    // what fails because it is being stopped is no failure
    if (!shutdown.isRequested) {
      throw error;
    }
  } finally {
    await shutdown.stopAll();
  }
}

function build() {
  say('Building ...');
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const answer = spawnSync(process.execPath, [tsc, '-b'], { cwd: ROOT, stdio: 'inherit' });
  if (answer.status !== 0) {
    throw new CommandError('The build (tsc -b) failed, see above.');
  }
}
