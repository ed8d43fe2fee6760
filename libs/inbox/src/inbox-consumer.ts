import { type BeforeApplicationShutdown, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { type ModuleRef, ModulesContainer } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { ConsumerRunner } from './consumer-runner.js';
import { type ConsumerStatus } from './consumer-status.js';
import { discoverHandlers } from './handler-registry.js';
import { Inbox } from './inbox.js';
import { defaultTopicOf, type InboxModuleOptions, limitsOf, refuseConsumerName } from './inbox.config.js';
import { InboxError } from './inbox.errors.js';
import { systemInboxClock } from './inbox-clock.js';
import { requireInboxDatabase } from './inbox-database.js';
import { InboxLog } from './inbox-log.js';
import { type InboxObserver, tellAll } from './inbox-observer.js';
import { type InboxPort } from './inbox-port.js';

/**
 * The consumer of an application, as `InboxModule` offers it: for readiness and metrics. It starts when the application
 * has started and drains before it closes; nothing needs to be called.
 */
export class InboxConsumer implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly consumer: string;
  readonly #observers = new Set<InboxObserver>();
  #inbox: Inbox | null = null;
  #runner: ConsumerRunner | null = null;

  constructor(
    private readonly options: InboxModuleOptions,
    private readonly modules: ModuleRef,
  ) {
    refuseConsumerName(options.consumer);
    limitsOf(options);
    this.consumer = options.consumer;
    this.#observers.add(new InboxLog(options.consumer));
  }

  /** How the consumer stands now. Throws `InboxError` `internal` before the application has started. */
  status(): ConsumerStatus {
    return this.#started(this.#runner).status();
  }

  /** Held and parked events of this consumer, asked of the database. */
  countSetAside(): ReturnType<InboxPort['countSetAside']> {
    return this.#started(this.#inbox).countSetAside();
  }

  /** Tells `observer` of everything from now on; the result ends that. */
  observe(observer: InboxObserver): () => void {
    this.#observers.add(observer);
    return () => {
      this.#observers.delete(observer);
    };
  }

  /** Stops the boot when the database has not this release's schema, the user not the grants, or the connection no limits. */
  async onModuleInit(): Promise<void> {
    const dataSource = this.#dataSource();
    await requireInboxDatabase(dataSource);
    this.#inbox = new Inbox({ consumer: this.consumer, dataSource });
  }

  async onApplicationBootstrap(): Promise<void> {
    const registry = discoverHandlers(this.modules.get(ModulesContainer, { strict: false }));
    const topics = new Set(registry.contracts().map(this.options.topicOf ?? defaultTopicOf));
    this.#runner = new ConsumerRunner({
      consumer: this.consumer,
      inbox: this.#started(this.#inbox),
      subscription: this.options.subscribe({ consumer: this.consumer, topics: [...topics] }),
      registry,
      limits: limitsOf(this.options),
      clock: systemInboxClock,
      observer: tellAll(this.#observers),
    });
    await this.#runner.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#runner?.stop();
  }

  #dataSource(): DataSource {
    let found: unknown;
    try {
      found = this.modules.get<unknown>(this.options.database, { strict: false });
    } catch (cause) {
      throw this.#refusal('names a token that no module provides', cause);
    }
    if (!(found instanceof DataSource)) {
      throw this.#refusal('names a provider that is no TypeORM DataSource');
    }
    return found;
  }

  #refusal(reason: string, cause?: unknown): InboxError {
    const message = `InboxModule.forRoot({ database }) ${reason}. Give the token of the service's TypeORM DataSource.`;
    return new InboxError('configuration_invalid', message, { cause });
  }

  #started<Part>(part: Part | null): Part {
    if (part === null) {
      throw new InboxError('internal', 'The consumer was asked before the application had started: await app.init().');
    }
    return part;
  }
}
