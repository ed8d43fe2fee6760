import { type DynamicModule, type InjectionToken, Module } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { Outbox, type OutboxConfig } from './outbox.js';
import { SchemaCheck } from './schema-check.js';

/** What `OutboxModule.forRoot` takes. */
export interface OutboxModuleOptions extends OutboxConfig {
  /** The injection token of the service's TypeORM `DataSource` or `pg` `Pool`; used once, for the check at boot. */
  readonly database: InjectionToken;
}

/**
 * Offers `Outbox` to the whole application. At boot it checks that the database has exactly the schema version that
 * this release needs; otherwise the boot fails with a sentence that says what to run. It never migrates.
 */
@Module({})
export class OutboxModule {
  static forRoot(options: OutboxModuleOptions): DynamicModule {
    return {
      module: OutboxModule,
      global: true,
      providers: [
        { provide: Outbox, useFactory: () => new Outbox(options) },
        {
          provide: SchemaCheck,
          inject: [ModuleRef],
          useFactory: (modules: ModuleRef) => new SchemaCheck(modules, options.database),
        },
      ],
      exports: [Outbox],
    };
  }
}
