/** What happens to a subscription to queues, for logs and metrics; no payload, no secret. `queue` is its name. */
export type SqsSubscriptionEvent =
  | { readonly kind: 'queue_opened'; readonly queue: string }
  /** It does not exist yet, and is waited for. */
  | { readonly kind: 'queue_missing'; readonly queue: string }
  /** Nothing can be received, or the receiver has failed; tried again after the pause, for the `attempt`-th time. */
  | {
      readonly kind: 'interrupted';
      readonly queue: string;
      readonly reason: string;
      readonly attempt: number;
      readonly pauseMs: number;
    }
  | { readonly kind: 'resumed'; readonly queue: string }
  /** Messages that could not be delivered, and those behind them in their groups: they come again. */
  | { readonly kind: 'given_back'; readonly queue: string; readonly messages: number; readonly reason: string }
  /** SQS has shown them to others while they were in work here: they may be applied twice, and the inbox finds that. */
  | { readonly kind: 'visibility_lost'; readonly queue: string; readonly messages: number }
  /** They are done and come again all the same. */
  | { readonly kind: 'delete_failed'; readonly queue: string; readonly messages: number; readonly reason: string };
