/** A request on its way through the proxy. */
export interface ProxiedRequest {
  /** Counted from 1 since the proxy was started. */
  readonly number: number;
  /** What SQS is asked to do: `SendMessageBatch`. */
  readonly action: string;
  readonly body: string;
}

/** How an entry of a batch fails. */
export interface EntryFailure {
  readonly code: string;
  readonly isSenderFault: boolean;
  /** The server has stored it all the same. */
  readonly isStored?: boolean;
}

/** An entry of a batch, as far as a fault is chosen by it. */
export interface BatchEntry {
  readonly index: number;
  /** Empty on a standard queue. */
  readonly group: string;
  readonly body: string;
}

/** What can happen to a request; see `HttpFaultProxy`. */
export type HttpFault =
  | { readonly kind: 'pass' }
  | { readonly kind: 'delay'; readonly ms: number }
  /** An error, without the server: 503, or 400 with `RequestThrottled`. */
  | { readonly kind: 'answer'; readonly status: number; readonly code: string }
  /** The connection is cut before the request reaches the server. */
  | { readonly kind: 'cut' }
  /** The server does what it is asked, and the connection is cut before its answer. */
  | { readonly kind: 'lose_reply' }
  /** The server does what it is asked, and its answer never comes; the connection stays. */
  | { readonly kind: 'swallow_reply' }
  /** Some entries of a batch are answered as `Failed`; the others reach the server. */
  | { readonly kind: 'fail_entries'; readonly failureOf: (entry: BatchEntry) => EntryFailure | null };
