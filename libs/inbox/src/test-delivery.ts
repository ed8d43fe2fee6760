import { type EventContract, type EventId, HEADER, toEventId } from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import { v7 } from 'uuid';
import { InboxError } from './inbox.errors.js';

/**
 * What became of one delivery in a test. `crashed`: the handler ran and its transaction was lost. `unhandled`: no handler
 * for the type. The others as in production.
 */
export type TestOutcome = 'applied' | 'duplicate' | 'chained' | 'held' | 'parked' | 'unhandled' | 'crashed';

/** What a test learns of an event that it had delivered. */
export interface TestReceipt {
  readonly id: EventId;
  /** One per delivery, in order. */
  readonly outcomes: readonly TestOutcome[];
  /** The last of them. */
  readonly outcome: TestOutcome;
  /** Why it was set aside, when it was. */
  readonly setAside: { readonly code: string; readonly reason: string } | null;
}

/** Where a test's records go. */
export interface TestRecordSink {
  /** The next free place and number of the test's one stream. */
  nextPlace(): { readonly offset: bigint; readonly position: bigint };
  readonly source: string;
  /** Delivers a record once. `isLost`: the transaction is rolled back after the handler. */
  deliverOnce(delivery: Delivery, isLost: boolean): Promise<TestAttempt>;
}

/** The outcome of one delivery. */
export interface TestAttempt {
  readonly outcome: TestOutcome;
  readonly setAside: TestReceipt['setAside'];
}

/**
 * One event on its way into a `TestInbox`. Say how it travels, then await it; awaiting it again does not deliver again.
 * Rejects with the handler's own error where a consumer would try again later, so that a test sees it.
 */
export class TestDelivery<Contract extends EventContract> implements PromiseLike<TestReceipt> {
  #id = v7();
  #key: string | null = null;
  #times = 1;
  #losses = 0;
  #isConcurrent = false;
  #schemaVersion: number;
  #aggregateVersion: bigint | null = null;
  readonly #headers = new Map<string, string>();
  #receipt: Promise<TestReceipt> | null = null;

  constructor(
    private readonly sink: TestRecordSink,
    private readonly contract: Contract,
    private readonly payload: unknown,
  ) {
    this.#schemaVersion = contract.schemaVersion;
  }

  /** The event's id; by default a new one. */
  withId(id: string): this {
    this.#id = id;
    return this;
  }

  /** The record's key; by default the contract's key of the payload. */
  withKey(key: string): this {
    this.#key = key;
    return this;
  }

  /** The producer's headers: `traceparent`, `correlation-id` ... */
  withHeaders(headers: Readonly<Record<string, string>>): this {
    for (const [name, value] of Object.entries(headers)) {
      this.#headers.set(name, value);
    }
    return this;
  }

  /** As an older or newer producer wrote it. */
  withSchemaVersion(version: number): this {
    this.#schemaVersion = version;
    return this;
  }

  withAggregateVersion(version: bigint | number): this {
    this.#aggregateVersion = BigInt(version);
    return this;
  }

  /** Published again on purpose. */
  asReplay(replayId = 'test'): this {
    this.#headers.set(HEADER.replay, replayId);
    return this;
  }

  /** Delivered so many times in a row, as after a rebalance: `applied`, then `duplicate`. */
  times(count: number): this {
    this.#times = count;
    return this;
  }

  twice(): this {
    return this.times(2);
  }

  /** All deliveries at the same moment, as of members that do not know of each other. */
  concurrently(): this {
    this.#isConcurrent = true;
    return this;
  }

  /** First a delivery whose process dies when the handler has run and before COMMIT; then the deliveries asked for. */
  crashAfterHandler(): this {
    this.#losses++;
    return this;
  }

  /** The process dies after COMMIT, before the offset is committed: one delivery more. */
  crashAfterCommit(): this {
    this.#times++;
    return this;
  }

  /** Delivers it, once however often it is called. */
  run(): Promise<TestReceipt> {
    this.#receipt ??= this.#deliver();
    return this.#receipt;
  }

  then<Fulfilled = TestReceipt, Rejected = never>(
    onFulfilled?: ((receipt: TestReceipt) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.run().then(onFulfilled, onRejected);
  }

  async #deliver(): Promise<TestReceipt> {
    const delivery = this.#record();
    const attempts: TestAttempt[] = [];
    for (let lost = 0; lost < this.#losses; lost++) {
      attempts.push(await this.sink.deliverOnce(delivery, true));
    }
    if (this.#isConcurrent) {
      const twins = Array.from({ length: this.#times }, () => this.sink.deliverOnce(delivery, false));
      attempts.push(...(await Promise.all(twins)));
    } else {
      for (let time = 0; time < this.#times; time++) {
        attempts.push(await this.sink.deliverOnce(delivery, false));
      }
    }
    return receiptOf(toEventId(this.#id), attempts);
  }

  #record(): Delivery {
    const { offset, position } = this.sink.nextPlace();
    const key = this.#key ?? this.contract.keyOf(this.payload);
    const headers = new Map<string, string>([
      [HEADER.id, this.#id],
      [HEADER.eventType, this.contract.type],
      [HEADER.schemaVersion, String(this.#schemaVersion)],
      [HEADER.source, this.sink.source],
      [HEADER.route, 'test'],
      [HEADER.position, String(position)],
      [HEADER.epoch, '1'],
      [HEADER.low, '0'],
      ...this.#headers,
    ]);
    if (this.#aggregateVersion !== null) {
      headers.set(HEADER.aggregateVersion, String(this.#aggregateVersion));
    }
    return {
      topic: `outbox.event.${this.contract.aggregate}`,
      partition: 0,
      offset,
      key: Buffer.from(key),
      value: Buffer.from(JSON.stringify(this.payload)),
      headers: new Map([...headers].map(([name, value]) => [name, Buffer.from(value)])),
      timestampMs: Date.now(),
    };
  }
}

function receiptOf(id: EventId, attempts: readonly TestAttempt[]): TestReceipt {
  const last = attempts.at(-1);
  if (last === undefined) {
    throw new InboxError('configuration_invalid', 'times(0) delivers nothing: give 1 or more.');
  }
  const setAside = attempts.find((attempt) => attempt.setAside !== null)?.setAside ?? null;
  return { id, outcomes: attempts.map(({ outcome }) => outcome), outcome: last.outcome, setAside };
}
