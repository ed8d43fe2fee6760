import { type SubscriptionStatus } from '@millrace/transport';

/*
 * Every metric of a consumer, once: name, help, labels. A label is the consumer, a topic or partition, an event type (the
 * handled ones and the first hundred others), or a code of a closed list; never an id or a key.
 */

const CONSUMER_LABELS = ['consumer'] as const;

export const RECORDS = {
  name: 'millrace_inbox_records_total',
  help: 'Records settled, by how: applied, duplicate, chained (behind a held event), held, parked, unhandled',
  labelNames: [...CONSUMER_LABELS, 'type', 'outcome'],
} as const;

export const ATTEMPTS_FAILED = {
  name: 'millrace_inbox_attempts_failed_total',
  help: 'Attempts that failed and were rolled back, by code and by what was done: wait, again, retry, hold, park',
  labelNames: [...CONSUMER_LABELS, 'code', 'action'],
} as const;

export const HANDLER_DURATION = {
  name: 'millrace_inbox_handler_duration_seconds',
  help: 'Seconds of one run of a handler, whether it succeeded or not',
  labelNames: [...CONSUMER_LABELS, 'type'],
} as const;

export const EVENT_AGE = {
  name: 'millrace_inbox_event_age_seconds',
  help: "Seconds from the broker's time stamp of a record to its being applied, by this machine's clock",
  labelNames: [...CONSUMER_LABELS, 'type'],
} as const;

export const RELEASED = {
  name: 'millrace_inbox_released_total',
  help: 'Held events that were applied in the end',
  labelNames: CONSUMER_LABELS,
} as const;

export const CHAINS_PARKED = {
  name: 'millrace_inbox_chains_parked_total',
  help: 'Held chains that were parked after a later try; a person has to act',
  labelNames: CONSUMER_LABELS,
} as const;

export const LOWS_REFUSED = {
  name: 'millrace_inbox_lows_refused_total',
  help: 'Records whose millrace-low was ignored, as it was not below their own position: no relay sends that',
  labelNames: [...CONSUMER_LABELS, 'topic', 'partition'],
} as const;

export const SET_ASIDE = {
  name: 'millrace_inbox_set_aside_events',
  help: 'Events in chains that are held (tried again by themselves) or parked (a person has to act); absent while unknown',
  labelNames: [...CONSUMER_LABELS, 'kind'],
} as const;

export const SET_ASIDE_KEYS = {
  name: 'millrace_inbox_set_aside_keys',
  help: 'Keys with a chain, held or parked; absent while unknown',
  labelNames: CONSUMER_LABELS,
} as const;

export const PENDING = {
  name: 'millrace_inbox_pending_records',
  help: 'Records taken in and not yet below the watermark of their partition',
  labelNames: [...CONSUMER_LABELS, 'topic', 'partition'],
} as const;

export const FROZEN = {
  name: 'millrace_inbox_frozen_partitions',
  help: 'Partitions whose floors stand still because deliveries skipped offsets: replay, then millrace inbox thaw',
  labelNames: CONSUMER_LABELS,
} as const;

export const BREAKER_OPEN = {
  name: 'millrace_inbox_breaker_open',
  help: '1 while the database is away and consuming waits',
  labelNames: CONSUMER_LABELS,
} as const;

export const READY = {
  name: 'millrace_inbox_ready',
  help: '1 while events are applied, or would be if there were any',
  labelNames: CONSUMER_LABELS,
} as const;

export const SUBSCRIPTION_STATE = {
  name: 'millrace_inbox_subscription_state',
  help: '1 for the state that the subscription is in, 0 for the others',
  labelNames: [...CONSUMER_LABELS, 'state'],
} as const;

/** The states of `millrace_inbox_subscription_state`, of which exactly one is 1. */
export const SUBSCRIPTION_STATES: readonly SubscriptionStatus['kind'][] = [
  'idle',
  'joining',
  'running',
  'rebuilding',
  'stopped',
];

/** Seconds, from a handler of one insert to one that has to be given up. */
export const HANDLER_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Seconds, from a consumer at the head of its topic to one that catches up after a day. */
export const AGE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400];
