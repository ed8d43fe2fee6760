/** Ends a script with one sentence that says what is wrong and what to do; no stack is printed for it. */
export class CommandError extends Error {
  name = 'CommandError';
}

/** Runs a script's main function; tells its failure and sets the exit code. */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    const isExpected = error instanceof CommandError || error?.name === 'LocalServerError';
    console.error(isExpected ? `\n${error.message}` : error);
    process.exitCode = 1;
  }
}
