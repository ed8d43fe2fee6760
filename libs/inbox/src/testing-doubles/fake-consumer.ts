import { defineEvent, type EventContract, HEADER } from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import { z } from 'zod';
import { ConsumerRunner } from '../consumer-runner.js';
import { HandlerRegistry } from '../handler-registry.js';
import { type ConsumerTuning, limitsOf } from '../inbox.config.js';
import { type InboxObserver, tellAll } from '../inbox-observer.js';
import { FakeClock, settled } from './fake-clock.js';
import { FakeInbox } from './fake-inbox.js';
import { FakeSubscription } from './fake-subscription.js';
import { record, type RecordSketch } from './record.js';

/** The contract of the fake's one handler. */
export const Placed: EventContract<{ name: string }, 'order.placed'> = defineEvent({
  type: 'order.placed',
  schemaVersion: 1,
  aggregate: 'order',
  key: (order) => order.name,
  schema: z.object({ name: z.string() }),
});

/** A consumer over fakes, whose handler waits and fails as a test says, by the event's name. */
export class FakeConsumer {
  readonly clock = new FakeClock();
  readonly inbox = new FakeInbox();
  readonly subscription = new FakeSubscription();
  readonly runner: ConsumerRunner;
  /** Names in the order in which handlers began and ended well. */
  readonly began: string[] = [];
  readonly ended: string[] = [];
  /** What the runner has told, as `what: details`. */
  readonly told: string[] = [];
  /** How many handlers run now, and at most ran at a time. */
  running = 0;
  mostRunning = 0;
  readonly #gates = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, Error[]>();
  #offset = 0n;

  constructor(tuning: ConsumerTuning = {}, observer: InboxObserver = {}) {
    this.runner = new ConsumerRunner({
      consumer: 'fake',
      inbox: this.inbox,
      subscription: this.subscription,
      registry: new HandlerRegistry([
        { contract: Placed, name: 'Fake.handle', handle: ({ payload }) => this.#handle(Placed.keyOf(nameOf(payload))) },
      ]),
      limits: limitsOf(tuning),
      clock: this.clock,
      observer: tellAll([this.#listen(), observer]),
    });
  }

  /** A record with the next offset; its event's name is `name`. */
  event(name: string, key: string, sketch: RecordSketch = {}): Delivery {
    const offset = sketch.offset ?? this.#offset;
    this.#offset = offset + 1n;
    return record({ key, value: { name }, ...sketch, offset, headers: { [HEADER.low]: '0', ...sketch.headers } });
  }

  /** The handler of `name` does not end before the result is called. */
  hold(name: string): () => void {
    let open = (): void => undefined;
    this.#gates.set(
      name,
      new Promise<void>((resolve) => {
        open = resolve;
      }),
    );
    return open;
  }

  /** The next runs for `name` throw these, one each. */
  fail(name: string, ...errors: readonly Error[]): void {
    this.#failures.set(name, [...errors]);
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    await settled();
  }

  async #handle(name: string): Promise<void> {
    this.began.push(name);
    this.running++;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await this.#gates.get(name);
      const error = this.#failures.get(name)?.shift();
      if (error !== undefined) {
        throw error;
      }
      this.ended.push(name);
    } finally {
      this.running--;
    }
  }

  #listen(): InboxObserver {
    return {
      recordSettled: ({ settlement, type }) => this.told.push(`${settlement}: ${type}`),
      setAside: ({ kind, code }) => this.told.push(`set aside: ${kind} ${code}`),
      attemptFailed: ({ code, action, records }) => this.told.push(`failed: ${code} ${action} ${records}`),
      breakerChanged: ({ kind }) => this.told.push(`breaker: ${kind}`),
      lowRefused: ({ offset }) => this.told.push(`low refused: ${offset}`),
      partitionFrozen: ({ from, to }) => this.told.push(`frozen: ${from}-${to}`),
      progressMissing: ({ from, to }) => this.told.push(`progress missing: ${from}-${to}`),
      partitionThawed: () => this.told.push('thawed'),
      backgroundChanged: (task, error) => this.told.push(`${task}: ${error === null ? 'works' : 'fails'}`),
      chainParked: ({ code }) => this.told.push(`chain parked: ${code}`),
      chainsReleased: (applied) => this.told.push(`released: ${applied}`),
    };
  }
}

function nameOf(payload: unknown): { name: string } {
  return z.object({ name: z.string() }).parse(payload);
}
