import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { type ConsumerStatus } from './consumer-status.js';
import { type InboxObserver, type Settlement } from './inbox-observer.js';
import { type MeasuredConsumer, registerInboxMetrics } from './prometheus.js';

class Measured implements MeasuredConsumer {
  readonly consumer = 'stock';
  observer: InboxObserver = {};
  count: () => Promise<{ held: number; parked: number; heldKeys: number }> = () =>
    Promise.resolve({ held: 3, parked: 1, heldKeys: 2 });
  current: ConsumerStatus = {
    consumer: 'stock',
    isReady: true,
    reasons: [],
    subscription: { kind: 'running', partitions: 1, missingTopics: [] },
    breaker: { kind: 'closed' },
    partitions: [{ topic: 't', partition: 2, pending: 5 }],
    frozen: [],
  };

  status(): ConsumerStatus {
    return this.current;
  }

  observe(observer: InboxObserver): () => void {
    this.observer = observer;
    return () => undefined;
  }

  countSetAside(): Promise<{ held: number; parked: number; heldKeys: number }> {
    return this.count();
  }

  settle(settlement: Settlement, type: string, ageMs = 20): void {
    this.observer.recordSettled?.({ settlement, type, topic: 't', partition: 0, ageMs });
  }
}

function register(): { readonly registry: Registry; readonly measured: Measured } {
  const registry = new Registry();
  const measured = new Measured();
  registerInboxMetrics(registry, measured);
  return { registry, measured };
}

describe('the metrics of a consumer', () => {
  it('count what the consumer tells, and show how it stands', async () => {
    const { registry, measured } = register();
    measured.settle('applied', 'order.placed');
    measured.settle('applied', 'order.placed', -5);
    measured.settle('parked', '');
    measured.observer.handlerEnded?.({ type: 'order.placed', durationMs: 4 });
    measured.observer.attemptFailed?.({ code: 'conflict', action: 'again', records: 1, error: null });
    measured.observer.chainsReleased?.(4);
    measured.observer.chainParked?.({ id: 'i', topic: 't', code: 'c' });
    const lines = (await registry.metrics()).split('\n');

    expect(lines).toEqual(
      expect.arrayContaining([
        'millrace_inbox_records_total{consumer="stock",type="order.placed",outcome="applied"} 2',
        'millrace_inbox_records_total{consumer="stock",type="none",outcome="parked"} 1',
        'millrace_inbox_attempts_failed_total{consumer="stock",code="conflict",action="again"} 1',
        'millrace_inbox_handler_duration_seconds_count{consumer="stock",type="order.placed"} 1',
        'millrace_inbox_event_age_seconds_count{consumer="stock",type="order.placed"} 2',
        'millrace_inbox_released_total{consumer="stock"} 4',
        'millrace_inbox_chains_parked_total{consumer="stock"} 1',
        'millrace_inbox_set_aside_events{consumer="stock",kind="held"} 3',
        'millrace_inbox_set_aside_events{consumer="stock",kind="parked"} 1',
        'millrace_inbox_set_aside_keys{consumer="stock"} 2',
        'millrace_inbox_pending_records{consumer="stock",topic="t",partition="2"} 5',
        'millrace_inbox_frozen_partitions{consumer="stock"} 0',
        'millrace_inbox_breaker_open{consumer="stock"} 0',
        'millrace_inbox_ready{consumer="stock"} 1',
        'millrace_inbox_subscription_state{consumer="stock",state="running"} 1',
        'millrace_inbox_subscription_state{consumer="stock",state="joining"} 0',
      ]),
    );
  });

  it('leave out what is set aside while the database cannot tell', async () => {
    const { registry, measured } = register();
    await registry.metrics();
    measured.count = () => Promise.reject(new Error('away'));
    measured.current = { ...measured.current, isReady: false, breaker: { kind: 'open', sinceMs: 0, reason: 'Away.' } };
    const text = await registry.metrics();
    expect(text).toMatch(/millrace_inbox_breaker_open\{consumer="stock"\} 1/);
    expect(text).toMatch(/millrace_inbox_ready\{consumer="stock"\} 0/);
    expect(text).not.toMatch(/set_aside_(events|keys)\{/);
  });

  it('have a bounded set of types', async () => {
    const { registry, measured } = register();
    for (let number = 0; number < 500; number++) {
      measured.settle('unhandled', `strange.${number}`);
    }
    const text = await registry.metrics();
    expect(text.match(/outcome="unhandled"/g)).toHaveLength(101);
    expect(text).toMatch(/type="other",outcome="unhandled"\} 400/);
  });
});
