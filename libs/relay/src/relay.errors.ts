/** The closed list of what the engine itself refuses. */
export type RelayErrorCode =
  | 'configuration'
  | 'route_unknown'
  | 'route_not_run'
  | 'topic_invalid'
  | 'event_refused'
  | 'held_limit'
  | 'lanes_behind'
  | 'shards_unfit'
  | 'fork_repair'
  | 'fork_waits'
  | 'reading_tail'
  | 'topic_replaced'
  | 'log_cut'
  | 'internal';

/** The one error of this lib. `message` is a sentence for an operator; `details` are ids and counts, never payloads. */
export class RelayError extends Error {
  override readonly name = 'RelayError';
  readonly details: Readonly<Record<string, string>>;

  constructor(
    readonly code: RelayErrorCode,
    message: string,
    options: { readonly details?: Readonly<Record<string, string>>; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.details = options.details ?? {};
  }
}
