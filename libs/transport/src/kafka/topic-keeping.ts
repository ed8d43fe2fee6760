/** How a topic keeps its records, as far as it is known. */
export interface HeldTopic {
  readonly topic: string;
  /** Some partition begins with a record that was asked for: others that were may have been removed. */
  readonly isFromStart: boolean;
  /** By Kafka's names; `null` when we may not know them. */
  readonly settings: ReadonlyMap<string, string | null> | null;
}

/**
 * Why a topic may lack records since `sinceMs`, or `null` when all that were stored since then are there: either an older
 * one is still there (Kafka removes the oldest first), or the topic keeps records for longer than that. Pure.
 */
export function whyIncomplete(
  topics: readonly HeldTopic[],
  { sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number },
): string | null {
  for (const { topic, isFromStart, settings } of topics) {
    if (settings?.get('cleanup.policy')?.includes('compact') === true) {
      return `Topic ${topic} is compacted: earlier events of a key may have been removed.`;
    }
    if (isFromStart && !keepsLongEnough(settings, nowMs - sinceMs)) {
      return (
        `Topic ${topic} may no longer have all records since ${new Date(sinceMs).toISOString()}: ` +
        (settings === null ? 'its settings may not be read.' : 'it keeps them for a shorter time, or up to a size.')
      );
    }
  }
  return null;
}

function keepsLongEnough(settings: HeldTopic['settings'], ageMs: number): boolean {
  const keptMs = Number(settings?.get('retention.ms') ?? 0);
  return settings?.get('retention.bytes') === '-1' && (keptMs < 0 || keptMs > ageMs);
}
