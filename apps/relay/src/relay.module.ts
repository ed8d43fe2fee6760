import { type DynamicModule, Module } from '@nestjs/common';
import { HealthModule } from '@millrace/http';
import { AdminModule } from './admin/admin.module.js';
import { type AdminTokens } from './admin/auth/admin-tokens.js';
import { EngineModule, type EngineParts } from './engine/engine.module.js';
import { ReadinessModule } from './health/readiness.module.js';
import { RetentionModule, type RetentionParts } from './retention/retention.module.js';
import { RelayReadiness } from './health/relay-readiness.js';

/** What the relay is made of. */
export interface RelayParts {
  readonly engine: EngineParts;
  readonly retention: RetentionParts;
  readonly tokens: AdminTokens;
}

/** The relay: engine, retention, health, metrics, admin API. */
@Module({})
export class RelayModule {
  static forRoot({ engine, retention, tokens }: RelayParts): DynamicModule {
    const engineModule = EngineModule.forRoot(engine);
    const retentionModule = RetentionModule.forRoot(retention);
    const readiness = ReadinessModule.over(engineModule);
    return {
      module: RelayModule,
      imports: [
        engineModule,
        retentionModule,
        HealthModule.forRoot({ imports: [readiness], readiness: RelayReadiness }),
        AdminModule.forRoot({ imports: [engineModule, retentionModule], tokens }),
      ],
    };
  }
}
