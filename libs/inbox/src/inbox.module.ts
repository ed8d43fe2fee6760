import { type DynamicModule, Module } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { type InboxModuleOptions } from './inbox.config.js';
import { InboxConsumer } from './inbox-consumer.js';

/**
 * Applies the events of other services: finds the methods marked with `@HandleEvent` among all providers and controllers
 * of the application, subscribes to their topics and runs each event once, in order per key.
 *
 * At boot it stops with a sentence when two handlers share a type, when there is none, or when the database has not the
 * schema of this release. It starts once the application has started, and drains before it closes: running handlers end
 * and their offsets are committed. One per application.
 */
@Module({})
export class InboxModule {
  /** Throws `InboxError` `configuration_invalid` when the application is created, for options that cannot be. */
  static forRoot(options: InboxModuleOptions): DynamicModule {
    return {
      module: InboxModule,
      global: true,
      providers: [
        {
          provide: InboxConsumer,
          inject: [ModuleRef],
          useFactory: (modules: ModuleRef) => new InboxConsumer(options, modules),
        },
      ],
      exports: [InboxConsumer],
    };
  }
}
