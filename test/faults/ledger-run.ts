import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The program stands beside the sources, this file runs from dist/test/faults. */
const PROGRAM = fileURLToPath(new URL('../../../test/faults/ledger.mjs', import.meta.url));

/** Runs `test/faults/ledger.mjs` and returns its exit code. */
export async function runLedger(args: readonly string[]): Promise<number> {
  const program = spawn(process.execPath, [PROGRAM, ...args], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => program.kill(signal));
  }
  return new Promise((resolve, reject) => {
    program.once('error', reject);
    program.once('exit', (status) => {
      resolve(status ?? 1);
    });
  });
}
