/** The command line lacks something or contradicts itself; the message says what to write. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
