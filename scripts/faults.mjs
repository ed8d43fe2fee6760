import { runProgram } from './programs/run-program.mjs';
import { runMain } from './setup/command-error.mjs';

/** `npm run test:faults -- <name> [options]`; without a name it says which there are. */
await runMain(() => runProgram('faults'));
