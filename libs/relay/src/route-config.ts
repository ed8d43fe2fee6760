import { type EventFilter, type RouteShard, SHARDS_MAX, type StartFrom } from '@millrace/capture';
import { DEFAULT_HELD_TUNING, type HeldTuning, type PoisonPolicy } from './held/poison-policy.js';
import { type FixedFields } from './event-template.js';
import { RecordShape, type RecordShapeConfig } from './record-shape.js';
import { RelayError } from './relay.errors.js';
import { FOUND_MAX } from './take-over/found-records.js';
import { type TopicNaming } from './topic-naming.js';
import { ReplacedTopic, type TopicReplacement } from './topic-replacement.js';
import { TopicTemplate } from './topic-template.js';

/** Limits and waits of one route. */
export interface RouteTuning {
  /** Pages read but not yet settled; those that wait for nothing but lanes which are behind do not count. */
  readonly pagesInFlightMax: number;
  /** Events of pages read but not yet settled, at most 100,000; reading stops there, so one page more may be in flight. */
  readonly eventsInFlightMax: number;
  /** What pages read but not yet settled take in memory; reading stops there, so one page more may be in memory. */
  readonly bytesInFlightMax: number;
  /** A lane of which nothing was confirmed for so long is behind: others do not wait for it. */
  readonly laneBehindAfterMs: number;
  readonly batchRecordsMax: number;
  readonly batchBytesMax: number;
  readonly leaseTtlMs: number;
  /** Taken off the lease's life for clocks that run at different speeds. */
  readonly leaseMarginMs: number;
  readonly pollWaitMinMs: number;
  readonly pollWaitMaxMs: number;
  readonly sendRetryMinMs: number;
  readonly sendRetryMaxMs: number;
  readonly claimRetryMinMs: number;
  readonly claimRetryMaxMs: number;
  /** Between looks for a missing topic. */
  readonly topicRetryMs: number;
  /** Between looks at a route that another relay runs and this one should; five times as long at others. */
  readonly standbyLookMs: number;
  /** Without an answer for so long the route says that it is stalled. */
  readonly stalledAfterMs: number;
  /** Without an answer of the source for so long the claim is given up. */
  readonly callDeadlineMs: number;
  /** How long a stop waits for what is in flight. */
  readonly drainMs: number;
  /** The heartbeat of a route: renewals and the pause mark are looked after so often. */
  readonly beatMs: number;
}

/**
 * The defaults. The poll waits give about 3 ms from commit to send under load and cost an idle relay well under 2 %
 * of a core; the batch stays below Kafka's default limit of 1 MiB. The events in flight are half of what a new owner
 * remembers of the ends of lanes (`FoundRecords`), so that none of them is published twice. The lease, with the waits of `SharingTuning`, lets a
 * killed relay's routes publish again within 10 s.
 */
export const DEFAULT_ROUTE_TUNING: RouteTuning = {
  pagesInFlightMax: 3,
  eventsInFlightMax: 100_000,
  bytesInFlightMax: 32 * 1024 * 1024,
  laneBehindAfterMs: 1_000,
  batchRecordsMax: 1_000,
  batchBytesMax: 768 * 1024,
  leaseTtlMs: 6_000,
  leaseMarginMs: 2_000,
  pollWaitMinMs: 3,
  pollWaitMaxMs: 100,
  sendRetryMinMs: 100,
  sendRetryMaxMs: 5_000,
  claimRetryMinMs: 200,
  claimRetryMaxMs: 5_000,
  topicRetryMs: 3_000,
  standbyLookMs: 1_000,
  stalledAfterMs: 5_000,
  callDeadlineMs: 30_000,
  drainMs: 5_000,
  beatMs: 500,
};

/** The topic template of a route that names none. */
export const DEFAULT_TOPIC_TEMPLATE = 'outbox.event.{aggregatetype}';

/**
 * One route: events of `source` go to `sink`, those that the filter wants; others are settled unsent. A `key` other than
 * `{aggregateid}` is another unit of order: what has one key keeps its order, and the events of an aggregate only as far as
 * they share a key.
 */
export interface RouteConfig extends Partial<EventFilter>, RecordShapeConfig {
  /** Unique; the ledger of the route in the source is kept under it. */
  readonly name: string;
  readonly source: string;
  readonly sink: string;
  /**
   * A template with `{aggregatetype}`, `{type}`, `{header:name}`, `{source}`, `{route}`, or Debezium's settings; default
   * `outbox.event.{aggregatetype}`.
   */
  readonly topic?: string | TopicReplacement;
  /** Where the route begins when the source has no ledger of it; default `earliest`. */
  readonly from?: StartFrom;
  /** Into how many shards the route is divided when the source has no ledger of it; default 1. The source keeps it. */
  readonly shards?: number;
  /** What becomes of an event that the sink refuses for good; default `block`. */
  readonly onPoison?: PoisonPolicy;
  readonly held?: Partial<HeldTuning>;
  readonly tuning?: Partial<RouteTuning>;
}

/** A route configuration that has been checked, with every default filled in. */
export interface Route {
  readonly name: string;
  readonly source: string;
  readonly sink: string;
  readonly topic: TopicNaming;
  readonly shape: RecordShape;
  readonly filter: EventFilter;
  readonly from: StartFrom;
  /** How many shards a new route gets. */
  readonly shards: number;
  /** The part of the route that is meant; the whole of it as it comes from the configuration. */
  readonly shard: RouteShard;
  readonly onPoison: PoisonPolicy;
  readonly held: HeldTuning;
  readonly tuning: RouteTuning;
}

/** Fills in the defaults. Throws `RelayError` `configuration` that names every problem of the route. */
export function parseRoute(config: RouteConfig): Route {
  const tuning = { ...DEFAULT_ROUTE_TUNING, ...config.tuning };
  const held = { ...DEFAULT_HELD_TUNING, ...config.held };
  const { shards = 1 } = config;
  const problems = [
    ...tuningProblems(tuning),
    ...limitProblems(held),
    ...nameProblems(config.name),
    ...shardsProblems(shards),
  ];
  const fixed = { source: config.source, route: config.name };
  const topic = made(problems, () => topicNamingOf(config.topic ?? DEFAULT_TOPIC_TEMPLATE, fixed));
  const shape = made(problems, () => new RecordShape(config, fixed));
  if (topic === null || shape === null || problems.length > 0) {
    throw new RelayError('configuration', `Route ${JSON.stringify(config.name)}: ${problems.join('; ')}`);
  }
  return {
    name: config.name,
    source: config.source,
    sink: config.sink,
    topic,
    shape,
    filter: filterOf(config),
    from: config.from ?? { kind: 'earliest' },
    shards,
    shard: { of: config.name, number: 1, count: 1 },
    onPoison: config.onPoison ?? 'block',
    held,
    tuning,
  };
}

function topicNamingOf(topic: string | TopicReplacement, fixed: FixedFields): TopicNaming {
  return typeof topic === 'string' ? new TopicTemplate(topic, fixed) : new ReplacedTopic(topic, fixed);
}

function filterOf({ aggregateTypes = null, eventTypes = null, headerValues = [] }: RouteConfig): EventFilter {
  return { aggregateTypes, eventTypes, headerValues };
}

function made<T>(problems: string[], make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
    return null;
  }
}

function nameProblems(name: string): string[] {
  if (name === '') {
    return ['a route has an empty name'];
  }
  return name.includes('/') ? ['a route has a name with "/", which is how shards are named'] : [];
}

function shardsProblems(shards: number): string[] {
  return Number.isInteger(shards) && shards >= 1 && shards <= SHARDS_MAX
    ? []
    : [`shards is ${shards}; it must be a whole number from 1 to ${SHARDS_MAX}`];
}

function limitProblems(limits: object): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isFinite(value) || Number(value) <= 0) {
      problems.push(`${name} is ${String(value)}; it must be a number above 0`);
    }
  }
  return problems;
}

function tuningProblems(tuning: RouteTuning): string[] {
  const problems = limitProblems(tuning);
  if (tuning.leaseTtlMs < 2 * tuning.leaseMarginMs) {
    problems.push(
      `leaseTtlMs is ${tuning.leaseTtlMs}; it must be at least twice leaseMarginMs (${tuning.leaseMarginMs})`,
    );
  }
  if (tuning.eventsInFlightMax > FOUND_MAX / 2) {
    problems.push(
      `eventsInFlightMax is ${tuning.eventsInFlightMax}; it must be at most ${FOUND_MAX / 2}: a new owner remembers no more ` +
        'of what stands in the lanes already, and would publish the rest twice',
    );
  }
  if (tuning.pollWaitMaxMs < tuning.pollWaitMinMs) {
    problems.push(
      `pollWaitMaxMs is ${tuning.pollWaitMaxMs}; it must not be below pollWaitMinMs (${tuning.pollWaitMinMs})`,
    );
  }
  return problems;
}
