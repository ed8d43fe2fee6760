import { type SubscriptionStatus } from '@millrace/transport';
import { type BreakerState } from './breaker.js';
import { type PartitionFrozen } from './inbox-observer.js';

/** Why a consumer is not ready: for `/health/ready`, which shows them to everybody. */
export type UnreadyReason =
  | 'consumer-starting'
  | 'consumer-joining'
  | 'consumer-rebuilding'
  | 'consumer-database-unreachable'
  | 'consumer-stopped';

/** How a consumer stands at the moment of the call. */
export interface ConsumerStatus {
  readonly consumer: string;
  /** It applies events now, or would if there were any. */
  readonly isReady: boolean;
  /** Empty when it is ready. */
  readonly reasons: readonly UnreadyReason[];
  readonly subscription: SubscriptionStatus;
  /** Open while the database is away; nothing is applied then, and no attempt is counted. */
  readonly breaker: BreakerState;
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    /** Records taken in and not below the watermark. */
    readonly pending: number;
  }[];
  /** Partitions whose floors stand still because deliveries skipped offsets. Events are applied all the same. */
  readonly frozen: readonly PartitionFrozen[];
}

/** A rebalance may take this long before it counts. */
const JOINING_MS = 15_000;

/** `joiningMs`: for how long it has been joining; null when it has never been a member, as it then is not yet ready. */
export function unreadyReasons(
  subscription: SubscriptionStatus,
  joiningMs: number | null,
  breaker: BreakerState,
): readonly UnreadyReason[] {
  const reason = subscriptionReason(subscription, joiningMs);
  return [...(reason === null ? [] : [reason]), ...(breaker.kind === 'open' ? [DATABASE_REASON] : [])];
}

const DATABASE_REASON: UnreadyReason = 'consumer-database-unreachable';

function subscriptionReason(subscription: SubscriptionStatus, joiningMs: number | null): UnreadyReason | null {
  switch (subscription.kind) {
    case 'idle':
      return 'consumer-starting';
    case 'joining':
      return joiningMs === null || joiningMs > JOINING_MS ? 'consumer-joining' : null;
    case 'running':
      return null;
    case 'rebuilding':
      return 'consumer-rebuilding';
    case 'stopped':
      return 'consumer-stopped';
  }
}
