/** Ends a script with one sentence that says what is wrong and what to do; no stack is printed for it. */
export class CommandError extends Error {
  name = 'CommandError';
}

/** Runs a script's main function; tells its failure, with `lastLine` after it, and sets the exit code. */
export async function runMain(main, lastLine) {
  try {
    await main();
  } catch (error) {
    const isExpected = error instanceof CommandError || error?.name === 'LocalServerError';
    console.error(isExpected ? `\n${error.message}` : error);
    if (lastLine !== undefined) {
      console.log(lastLine);
    }
    process.exitCode = 1;
  }
}
