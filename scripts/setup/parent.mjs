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
