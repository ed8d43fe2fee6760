const POLL_MS = 500;

/**
 * Calls once when the npm (or its shell) that runs this script is gone: a SIGTERM for npm can end the shell between and
 * never reach this process. Does nothing outside of npm, where a parent may leave its child on purpose.
 */
export function onParentGone(listener) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.env.npm_lifecycle_event !== undefined && process.ppid !== parent) {
      clearInterval(timer);
      listener();
    }
  }, POLL_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/**
 * Passes the signals that are sent to this process on to its child, which ends it. When the parent is gone the child
 * gets a SIGTERM, but for one that had a signal already: a signal for the whole group is what ended the parent too.
 */
export function passOnSignals(child, source = process, watchParent = onParentGone) {
  const watch = watchParent(() => child.kill('SIGTERM'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    source.on(signal, () => {
      watch.stop();
      child.kill(signal);
    });
  }
}
