/** Stops what the run's setup started. */
export default async function globalTeardown() {
  await globalThis.millraceTestServers?.stop();
}
