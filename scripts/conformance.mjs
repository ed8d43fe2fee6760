import { runProgram } from './programs/run-program.mjs';
import { runMain } from './setup/command-error.mjs';

/** `npm run test:conformance [-- --sinks kafka-1,kafka-3,sqs,postgres]`; of all of them it writes docs/SINKS.md. */
await runMain(() => runProgram('conformance'));
