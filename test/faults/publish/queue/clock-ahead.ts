/**
 * From now on it is so much later for everything in this process, the local SQS among it, which has no other clock than
 * `Date.now`. Returns what sets it right.
 */
export function setClockAhead(ms: number): () => void {
  const now = Date.now;
  Date.now = () => now() + ms;
  return () => {
    Date.now = now;
  };
}
