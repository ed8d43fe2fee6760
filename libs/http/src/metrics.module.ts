import { Controller, Get, Header, Module } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { collectDefaultMetrics, Registry } from 'prom-client';

import { Public } from './public.js';

/** `GET /metrics`: everything in this app's registry, in the text format of Prometheus. */
@Public()
@ApiExcludeController()
@Controller('metrics')
class MetricsController {
  constructor(private readonly registry: Registry) {}

  @Get()
  @Header('Content-Type', Registry.PROMETHEUS_CONTENT_TYPE)
  async metrics(): Promise<string> {
    return await this.registry.metrics();
  }
}

/**
 * Offers the one `Registry` (prom-client) of this app, with the default metrics of the process, and `GET /metrics`.
 * A module that measures imports this one and makes its metrics in that registry; it owns their names.
 */
@Module({
  controllers: [MetricsController],
  providers: [
    {
      provide: Registry,
      useFactory: (): Registry => {
        const registry = new Registry();
        collectDefaultMetrics({ register: registry });
        return registry;
      },
    },
  ],
  exports: [Registry],
})
export class MetricsModule {}
