import { type TopicPartition } from './assign-partitions.js';

/** What happens to a subscription, for logs and metrics; no payload, no secret. */
export type SubscriptionEvent =
  /** A member of the group's next generation. */
  | { readonly kind: 'joined'; readonly memberId: string; readonly generation: number }
  | { readonly kind: 'assigned'; readonly partitions: readonly TopicPartition[] }
  /** Handed back; `isDrained` is false when a receiver took longer to close than the drain time. */
  | { readonly kind: 'revoked'; readonly partitions: readonly TopicPartition[]; readonly isDrained: boolean }
  /** The client was given up, and a new one is made after the pause, for the `attempt`-th time since it last ran well. */
  | { readonly kind: 'rebuilt'; readonly reason: string; readonly attempt: number; readonly pauseMs: number }
  /** Records between the two are gone (retention), or the log was cut or made again: it goes on at `first`, the earliest. */
  | {
      readonly kind: 'out_of_range';
      readonly topic: string;
      readonly partition: number;
      readonly expected: bigint;
      readonly first: bigint;
    }
  | { readonly kind: 'topic_missing'; readonly topic: string }
  | { readonly kind: 'topic_appeared'; readonly topic: string }
  /** The watermarks of so many partitions were not taken; what the group does not get comes again. */
  | { readonly kind: 'commit_failed'; readonly reason: string; readonly partitions: number }
  /** No broker serves these at the moment, or what it serves cannot be read; told once, until they are served again. */
  | { readonly kind: 'fetch_interrupted'; readonly reason: string; readonly partitions: readonly TopicPartition[] };
