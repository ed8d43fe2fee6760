/** How long a source's history is kept, and how much a route may hold back. */
export interface RetentionPolicy {
  /** A leaf is emptied when its newest row is older than this. */
  readonly keepMs: number;
  /** A route whose `low` stands still expires when the oldest leaf it holds is older than this; `null`: never. */
  readonly maxAgeMs: number | null;
  /** A route expires when the leaves that it holds beyond `keepMs` take so many bytes; `null`: never. */
  readonly maxBytes: number | null;
}

/** Longer than any outbox lives; some thousand years more, and the database has no such time. */
const KEEP_MAX_MS = 100_000 * 86_400_000;

/** What is wrong with a policy, as sentences that begin with the field's name; empty when it can be used. */
export function retentionProblems({ keepMs, maxAgeMs, maxBytes }: RetentionPolicy): readonly string[] {
  const problems: string[] = [];
  if (!Number.isSafeInteger(keepMs) || keepMs < 0 || keepMs > KEEP_MAX_MS) {
    problems.push('keep must be a time from 0 ms to 100,000 days; leave it out to keep rows for ever.');
  }
  if (maxAgeMs !== null && (!Number.isSafeInteger(maxAgeMs) || maxAgeMs < keepMs)) {
    problems.push('maxAge must not be below keep: a route would expire before anything could be removed.');
  }
  if (maxBytes !== null && (!Number.isSafeInteger(maxBytes) || maxBytes <= 0)) {
    problems.push('maxBytes must be a number of bytes above 0.');
  }
  return problems;
}
