import {
  type EventContract,
  type EventId,
  type PayloadOf,
  type Position,
  toEventId,
  toPosition,
} from '@millrace/events';
import { type Delivery } from '@millrace/transport';
import { type INestApplicationContext } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { type DataSource } from 'typeorm';
import { judgeRelease } from './chain-releaser.js';
import { type Decoded, decodeDelivery } from './decode-delivery.js';
import { createHandle, createReleaseHandle, type HandlerEnvironment } from './handle-arrival.js';
import { discoverHandlers, HandlerRegistry, handlersOf } from './handler-registry.js';
import { Inbox } from './inbox.js';
import { systemInboxClock } from './inbox-clock.js';
import { tellAll } from './inbox-observer.js';
import { type Arrival, type Handle, type HoldVerdict, type InboxPort, type ReleaseReport } from './inbox-port.js';
import { failureCodeOf, heldVerdict, parkedVerdict, policyFor } from './retry-policy.js';
import { type TestAttempt, TestDelivery, type TestOutcome, type TestRecordSink } from './test-delivery.js';

/** What a `TestInbox` is made of. */
export interface TestInboxOptions {
  /** A migrated database (schema `millrace` and the service's tables). */
  readonly dataSource: DataSource;
  /** Where the handlers are: the testing module or application, or the instances themselves. */
  readonly handlers: INestApplicationContext | readonly object[];
  /** Default `test`. */
  readonly consumer?: string;
  /** The producer's source, as `event.source` tells it. Default `test`. */
  readonly source?: string;
}

/** An event that a handler has published, as it stands in the outbox. */
export interface TestPublished<Contract extends EventContract> {
  readonly id: EventId;
  readonly position: Position;
  readonly aggregateId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: PayloadOf<Contract>;
}

const CONFLICT_TRIES_MAX = 50;
const CONFLICT_WAIT_MS = 20;
const HELD_MS = 1_000;
const HANDLER_TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 20;

/**
 * The consumer side without a broker: claims, handlers, the outbox and everything that is set aside run on a real
 * database as in production, in some milliseconds per delivery.
 *
 * ```ts
 * const inbox = await TestInbox.create({ dataSource, handlers: testingModule });
 * const { outcomes } = await inbox.deliver(OrderPlaced, order).twice().crashAfterHandler();
 * expect(outcomes).toEqual(['crashed', 'applied', 'duplicate']);
 * expect(await inbox.published(StockReserved)).toHaveLength(1);
 * ```
 */
export class TestInbox implements TestRecordSink {
  readonly source: string;
  readonly #registry: HandlerRegistry;
  readonly #handle: Handle;
  readonly #handleReleased: Handle;
  readonly #inbox: InboxPort;
  readonly #dataSource: DataSource;
  #since: bigint;
  #place = 0n;

  private constructor(options: TestInboxOptions, since: bigint) {
    const { dataSource, handlers, consumer = 'test', source = 'test' } = options;
    this.source = source;
    this.#registry = isContext(handlers)
      ? discoverHandlers(handlers.get(ModulesContainer, { strict: false }))
      : new HandlerRegistry(handlers.flatMap(handlersOf));
    const environment: HandlerEnvironment = {
      registry: this.#registry,
      clock: systemInboxClock,
      handlerTimeoutMs: HANDLER_TIMEOUT_MS,
    };
    this.#handle = createHandle(environment);
    this.#handleReleased = createReleaseHandle(environment);
    this.#inbox = new Inbox({ consumer, dataSource });
    this.#dataSource = dataSource;
    this.#since = since;
  }

  /** Throws `InboxError` as a boot would: two handlers for one type, or none. `published` tells of what comes from now on. */
  static async create(options: TestInboxOptions): Promise<TestInbox> {
    return new TestInbox(options, await lastPosition(options.dataSource));
  }

  /** An event of `contract` arrives. Say more about its way with the methods of what is returned, then await it. */
  deliver<Contract extends EventContract>(contract: Contract, payload: PayloadOf<Contract>): TestDelivery<Contract> {
    return new TestDelivery(this, contract, payload);
  }

  /** The events of `contract` that were published since the last `forgetPublished` (or `create`), in order. */
  async published<Contract extends EventContract>(contract: Contract): Promise<readonly TestPublished<Contract>[]> {
    const rows = await this.#dataSource.query<readonly OutboxRow<Contract>[]>(PUBLISHED, [
      contract.type,
      String(this.#since),
    ]);
    return rows.map((row) => ({
      id: toEventId(row.id),
      position: toPosition(row.position),
      aggregateId: row.aggregateid,
      headers: row.headers ?? {},
      payload: row.payload,
    }));
  }

  /**
   * Tries the held chains that are due, as the consumer does every few seconds; `Retry({ afterMs: 0 })` is due at once.
   * Who fails again is held again and parked after 20 tries.
   */
  async releaseHeld(): Promise<ReleaseReport> {
    return await this.#inbox.releaseDue(this.#handleReleased, (error, attempt) =>
      judgeRelease(error, attempt, { maxAttempts: MAX_ATTEMPTS, clock: systemInboxClock, observer: tellAll([]) }),
    );
  }

  /** From now on `published` tells only of what comes. */
  async forgetPublished(): Promise<void> {
    this.#since = await lastPosition(this.#dataSource);
  }

  nextPlace(): { readonly offset: bigint; readonly position: bigint } {
    this.#place++;
    return { offset: this.#place - 1n, position: this.#place };
  }

  async deliverOnce(delivery: Delivery, isLost: boolean): Promise<TestAttempt> {
    const decoded = decodeDelivery(delivery, (type) => this.#registry.handlerOf(type) !== undefined);
    switch (decoded.kind) {
      case 'unhandled':
        return { outcome: 'unhandled', setAside: null };
      case 'malformed':
        return await this.#setAside(decoded.arrival, malformedVerdict(decoded));
      case 'event':
        return await this.#apply(decoded.arrival, isLost ? this.#losing() : this.#handle);
    }
  }

  async #apply(arrival: Arrival, handle: Handle): Promise<TestAttempt> {
    for (let attempt = 1; ; attempt++) {
      try {
        const [outcome = 'applied'] = await this.#inbox.apply([arrival], handle);
        return { outcome, setAside: null };
      } catch (error) {
        if (error instanceof SimulatedCrash) {
          return { outcome: 'crashed', setAside: null };
        }
        const verdict = verdictOf(error);
        if (verdict !== null) {
          return await this.#setAside(arrival, verdict);
        }
        await waitOrThrow(error, attempt);
      }
    }
  }

  async #setAside(arrival: Arrival, verdict: HoldVerdict): Promise<TestAttempt> {
    const outcome = await this.#inbox.hold(arrival, verdict);
    const told: TestOutcome = outcome === 'duplicate' ? 'duplicate' : verdict.kind;
    return { outcome: told, setAside: { code: verdict.code, reason: verdict.reason } };
  }

  #losing(): Handle {
    return async (arrival, tx) => {
      await this.#handle(arrival, tx);
      throw new SimulatedCrash('the process died before COMMIT');
    };
  }
}

class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash';
}

interface OutboxRow<Contract extends EventContract> {
  readonly id: string;
  readonly position: string;
  readonly aggregateid: string;
  readonly headers: Readonly<Record<string, string>> | null;
  readonly payload: PayloadOf<Contract>;
}

const PUBLISHED = `
select id, position::text, aggregateid, headers, payload
from millrace.outbox
where type = $1 and position > $2::bigint
order by position`;

async function lastPosition(dataSource: DataSource): Promise<bigint> {
  const [row] = await dataSource.query<readonly { readonly last: string }[]>(
    'select coalesce(max(position), 0)::text as last from millrace.outbox',
  );
  return BigInt(row?.last ?? 0);
}

/** Conflicts are tried again as in production; all else the test is to see. */
async function waitOrThrow(error: unknown, attempt: number): Promise<void> {
  if (policyFor(failureCodeOf(error)).action !== 'again' || attempt >= CONFLICT_TRIES_MAX) {
    throw error;
  }
  await new Promise<void>((resolve) => {
    systemInboxClock.after(CONFLICT_WAIT_MS, resolve);
  });
}

/** Null where a consumer would try again in memory, or wait for its database. */
function verdictOf(error: unknown): HoldVerdict | null {
  const code = failureCodeOf(error);
  const { action } = policyFor(code);
  switch (action) {
    case 'park':
      return parkedVerdict(error, code);
    case 'hold':
      return heldVerdict(error, code, HELD_MS);
    case 'wait':
    case 'again':
    case 'retry':
      return null;
  }
}

function malformedVerdict(decoded: Extract<Decoded, { kind: 'malformed' }>): HoldVerdict {
  return { kind: 'parked', code: 'malformed', reason: `${decoded.reason}. ${policyFor('malformed').advice}` };
}

function isContext(handlers: TestInboxOptions['handlers']): handlers is INestApplicationContext {
  return 'get' in handlers;
}
