import { type DynamicModule, Module } from '@nestjs/common';
import { RelayReadiness } from './relay-readiness.js';

/** Offers the relay's readiness over the module that has the engine. */
@Module({})
export class ReadinessModule {
  static over(engine: DynamicModule): DynamicModule {
    return { module: ReadinessModule, imports: [engine], providers: [RelayReadiness], exports: [RelayReadiness] };
  }
}
