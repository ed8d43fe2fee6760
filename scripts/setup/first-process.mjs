/** How a script tells its second process, on the pinned Node, that it is not the first. */
const VARIABLE = 'MILLRACE_FIRST_PROCESS_MS';

const given = process.env[VARIABLE];
delete process.env[VARIABLE]; // it is not for the programs that are run from here

/** Whether this is the process that was called, not the one that continues it on the pinned Node. */
export const isFirstProcess = given === undefined;

const startedAtMs = isFirstProcess ? performance.timeOrigin : Number(given);

/** What the second process is given in its environment. */
export const toNextProcess = { [VARIABLE]: String(startedAtMs) };

/** Milliseconds since the first process began, the installation and the build among them. */
export function sinceFirstProcessMs() {
  return performance.timeOrigin + performance.now() - startedAtMs;
}
