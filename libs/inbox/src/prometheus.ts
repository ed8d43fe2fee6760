import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { type ConsumerStatus } from './consumer-status.js';
import { type InboxObserver, type RecordSettled } from './inbox-observer.js';
import {
  AGE_BUCKETS,
  ATTEMPTS_FAILED,
  BREAKER_OPEN,
  CHAINS_PARKED,
  EVENT_AGE,
  FROZEN,
  HANDLER_BUCKETS,
  HANDLER_DURATION,
  LOWS_REFUSED,
  PENDING,
  READY,
  RECORDS,
  RELEASED,
  SET_ASIDE,
  SET_ASIDE_KEYS,
  SUBSCRIPTION_STATE,
  SUBSCRIPTION_STATES,
} from './inbox-metrics.js';
import { TypeLabels } from './type-labels.js';

/** What the metrics are read from; `InboxConsumer` is one. */
export interface MeasuredConsumer {
  readonly consumer: string;
  status(): ConsumerStatus;
  observe(observer: InboxObserver): () => void;
  countSetAside(): Promise<{ readonly held: number; readonly parked: number; readonly heldKeys: number }>;
}

/**
 * Registers the metrics of a consumer, named `millrace_inbox_...`; call it once per registry, in a provider's
 * `onModuleInit` or later. A scrape asks the database once, for what is set aside, and leaves that out when it can't tell
 * within a second. The labels are bounded: no ids, no keys, at most 100 types without a handler.
 */
export function registerInboxMetrics(registry: Registry, consumer: MeasuredConsumer): void {
  consumer.observe(createMeters(registry, consumer.consumer));
  registerStatus(registry, consumer);
  registerSubscription(registry, consumer);
  registerSetAside(registry, consumer);
}

function createMeters(registry: Registry, consumer: string): InboxObserver {
  const registers = [registry];
  const types = new TypeLabels();
  const records = new Counter({ ...RECORDS, registers });
  const failures = new Counter({ ...ATTEMPTS_FAILED, registers });
  const handlers = new Histogram({ ...HANDLER_DURATION, buckets: HANDLER_BUCKETS, registers });
  const ages = new Histogram({ ...EVENT_AGE, buckets: AGE_BUCKETS, registers });
  const released = new Counter({ ...RELEASED, registers });
  const parked = new Counter({ ...CHAINS_PARKED, registers });
  const lowsRefused = new Counter({ ...LOWS_REFUSED, registers });
  released.inc({ consumer }, 0);
  parked.inc({ consumer }, 0);
  return {
    recordSettled: ({ settlement, type: name, ageMs }: RecordSettled) => {
      const type = types.labelOf(name, settlement === 'unhandled');
      records.inc({ consumer, type, outcome: settlement });
      if (settlement === 'applied') {
        ages.observe({ consumer, type }, Math.max(0, ageMs) / 1_000);
      }
    },
    handlerEnded: ({ type, durationMs }) => {
      handlers.observe({ consumer, type }, durationMs / 1_000);
    },
    attemptFailed: ({ code, action }) => {
      failures.inc({ consumer, code, action });
    },
    chainsReleased: (applied) => {
      released.inc({ consumer }, applied);
    },
    chainParked: () => {
      parked.inc({ consumer });
    },
    lowRefused: ({ topic, partition }) => {
      lowsRefused.inc({ consumer, topic, partition });
    },
  };
}

type StatusGauge = typeof READY | typeof BREAKER_OPEN | typeof FROZEN;

function registerStatus(registry: Registry, source: MeasuredConsumer): void {
  const { consumer } = source;
  const gauge = (metric: StatusGauge, valueOf: (status: ConsumerStatus) => number): void => {
    new Gauge({
      ...metric,
      registers: [registry],
      collect() {
        this.set({ consumer }, valueOf(source.status()));
      },
    });
  };
  gauge(READY, ({ isReady }) => Number(isReady));
  gauge(BREAKER_OPEN, ({ breaker }) => Number(breaker.kind === 'open'));
  gauge(FROZEN, ({ frozen }) => frozen.length);
}

function registerSubscription(registry: Registry, source: MeasuredConsumer): void {
  const { consumer } = source;
  new Gauge({
    ...SUBSCRIPTION_STATE,
    registers: [registry],
    collect() {
      const { subscription } = source.status();
      for (const state of SUBSCRIPTION_STATES) {
        this.set({ consumer, state }, Number(subscription.kind === state));
      }
    },
  });
  new Gauge({
    ...PENDING,
    registers: [registry],
    collect() {
      this.reset();
      for (const { topic, partition, pending } of source.status().partitions) {
        this.set({ consumer, topic, partition }, pending);
      }
    },
  });
}

function registerSetAside(registry: Registry, source: MeasuredConsumer): void {
  const { consumer } = source;
  let counting: Promise<SetAsideCount | null> | null = null;
  // a scrape reads all its metrics at the same moment: one look at the database serves them
  const count = (): Promise<SetAsideCount | null> => {
    counting ??= countInTime(source).finally(() => {
      counting = null;
    });
    return counting;
  };
  new Gauge({
    ...SET_ASIDE,
    registers: [registry],
    async collect() {
      const counts = await count();
      this.reset();
      if (counts !== null) {
        this.set({ consumer, kind: 'held' }, counts.held);
        this.set({ consumer, kind: 'parked' }, counts.parked);
      }
    },
  });
  new Gauge({
    ...SET_ASIDE_KEYS,
    registers: [registry],
    async collect() {
      const counts = await count();
      this.reset();
      if (counts !== null) {
        this.set({ consumer }, counts.heldKeys);
      }
    },
  });
}

type SetAsideCount = Awaited<ReturnType<MeasuredConsumer['countSetAside']>>;

const COUNT_TIMEOUT_MS = 1_000;

/** A scrape must not hang on a database that has fallen silent. */
async function countInTime(source: MeasuredConsumer): Promise<SetAsideCount | null> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, COUNT_TIMEOUT_MS, null);
  });
  try {
    return await Promise.race([source.countSetAside().catch(() => null), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
