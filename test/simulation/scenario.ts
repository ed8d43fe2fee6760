import * as fc from 'fast-check';
import { type Server, type Weather } from './network.js';
import { type PoisonPlan } from './poison.js';
import { type TransactionPlan } from './sim-database.js';

/** One thing that goes wrong, when, and for how long. `relay` counts from 0 and wraps around. */
export type Fault =
  | {
      readonly kind: 'relay-crash' | 'relay-freeze' | 'relay-restart';
      readonly relay: number;
      readonly atMs: number;
      readonly forMs: number;
    }
  | { readonly kind: 'lane-silent'; readonly partition: number; readonly atMs: number; readonly forMs: number }
  | { readonly kind: 'wall-clock-set'; readonly relay: number; readonly atMs: number; readonly forMs: number }
  | {
      readonly kind: 'network';
      readonly relay: number;
      readonly server: Server;
      readonly weather: Weather;
      readonly atMs: number;
      readonly forMs: number;
    }
  | {
      readonly kind: 'kafka-down' | 'topic-missing' | 'database-crash' | 'paused' | 'long-transaction';
      readonly atMs: number;
      readonly forMs: number;
    };

/** A whole run: who is there, what producers do, what goes wrong. */
export interface Scenario {
  /** Of everything that the lists do not say: delays, losses, jitter, clock speeds. */
  readonly seed: number;
  readonly relays: number;
  readonly partitions: number;
  readonly pageRowsMax: number;
  readonly gapRangesMax: number;
  readonly pagesInFlightMax: number;
  readonly eventsInFlightMax: number;
  readonly bytesInFlightMax: number;
  readonly batchRecordsMax: number;
  readonly brokerBatchMax: number;
  /** The usual way of a message, one way, at most. */
  readonly travelMs: number;
  readonly transactions: readonly TransactionPlan[];
  readonly faults: readonly Fault[];
  /** While a partition is silent, what belongs to others is to be published so soon after it was written. */
  readonly othersWithinMs?: number;
  /** Absent: the sink takes every event. */
  readonly poison?: PoisonPlan;
}

/** Events of this key are not wanted by the route. */
export const UNWANTED_KEY = 'x';

const ACTIVE_MS = 4_000;
const atMs = fc.nat(ACTIVE_MS);
const relay = fc.nat(2);

const transaction: fc.Arbitrary<TransactionPlan> = fc.record({
  atMs,
  keys: fc.array(fc.constantFrom('a', 'b', 'c', 'd', UNWANTED_KEY), { minLength: 1, maxLength: 6 }),
  paceMs: fc.nat(10),
  holdMs: fc.oneof({ weight: 3, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat(3_000) }),
  end: fc.constantFrom('commit', 'commit', 'commit', 'commit-async', 'rollback'),
});

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('relay-crash', 'relay-freeze', 'relay-restart', 'relay-freeze'),
    relay,
    atMs,
    forMs: fc.nat(15_000),
  }),
  fc.record({
    kind: fc.constant('network'),
    relay,
    server: fc.constantFrom<Server>('database', 'kafka'),
    weather: fc.constantFrom<Weather>('slow', 'lossy', 'cut'),
    atMs,
    forMs: fc.nat(12_000),
  }),
  fc.record({
    kind: fc.constantFrom('kafka-down', 'topic-missing', 'database-crash', 'paused', 'long-transaction'),
    atMs,
    forMs: fc.nat(12_000),
  }),
  fc.record({ kind: fc.constant('lane-silent'), partition: fc.nat(2), atMs, forMs: fc.nat(12_000) }),
  fc.record({ kind: fc.constant('wall-clock-set'), relay, atMs, forMs: fc.integer({ min: -30_000, max: 30_000 }) }),
);

/** Any run. Shrinks towards fewer transactions, fewer faults and smaller limits. */
export const scenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(),
  relays: fc.integer({ min: 1, max: 3 }),
  partitions: fc.integer({ min: 1, max: 3 }),
  pageRowsMax: fc.integer({ min: 1, max: 6 }),
  gapRangesMax: fc.constantFrom(1_000, 2),
  pagesInFlightMax: fc.integer({ min: 1, max: 4 }),
  eventsInFlightMax: fc.constantFrom(1_000, 20, 4),
  bytesInFlightMax: fc.constantFrom(1_000_000, 8_000, 300),
  batchRecordsMax: fc.integer({ min: 1, max: 5 }),
  brokerBatchMax: fc.constantFrom(100, 2, 1),
  travelMs: fc.constantFrom(2, 20, 150),
  transactions: fc.array(transaction, { maxLength: 40, size: 'max' }),
  faults: fc.array(fault, { maxLength: 8, size: 'max' }),
});

/** When the last of the planned things has ended. */
export function endOfTrouble({ transactions, faults, poison }: Scenario): number {
  const ends = [
    ...transactions.map((plan) => plan.atMs + plan.keys.length * plan.paceMs + plan.holdMs),
    ...faults.map((each) => each.atMs + Math.max(0, each.forMs)),
    ...(poison?.events ?? []).map(({ untilMs }) => untilMs ?? 0),
    ...(poison?.acts ?? []).map(({ atMs: actAtMs }) => actAtMs),
  ];
  return Math.max(0, ...ends);
}
