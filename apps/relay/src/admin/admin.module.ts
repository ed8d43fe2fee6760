import { type DynamicModule, Module, type ModuleMetadata } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AdminGuard } from './auth/admin.guard.js';
import { AdminTokens } from './auth/admin-tokens.js';
import { FailedAttempts } from './auth/failed-attempts.js';
import { IncidentsController } from './incidents/incidents.controller.js';
import { ParkedController } from './parked/parked.controller.js';
import { RelaysController } from './relays/relays.controller.js';
import { LeafCountsController } from './retention/leaf-counts.controller.js';
import { LetGoOnController } from './retention/let-go-on.controller.js';
import { RetentionController } from './retention/retention.controller.js';
import { RoutesController } from './routes/routes.controller.js';
import { ShardsController } from './routes/shards.controller.js';
import { UnknownAdminRouteController } from './unknown-admin-route.controller.js';

/** Who may use the admin API, and where its controllers find what they show. */
export interface AdminParts {
  readonly imports: NonNullable<ModuleMetadata['imports']>;
  readonly tokens: AdminTokens;
}

/** The admin API, and the guard of the whole application: what is not `@Public()` needs a token. */
@Module({
  // the last one answers what no other takes
  controllers: [
    RoutesController,
    ShardsController,
    RelaysController,
    RetentionController,
    LeafCountsController,
    LetGoOnController,
    IncidentsController,
    ParkedController,
    UnknownAdminRouteController,
  ],
  providers: [
    { provide: FailedAttempts, useFactory: () => new FailedAttempts() },
    { provide: APP_GUARD, useClass: AdminGuard },
  ],
})
export class AdminModule {
  static forRoot({ imports, tokens }: AdminParts): DynamicModule {
    return { module: AdminModule, imports, providers: [{ provide: AdminTokens, useValue: tokens }] };
  }
}
