import { type DynamicModule, Module } from '@nestjs/common';
import { MetricsModule } from '@millrace/http';
import { RelayEngine, type RelayEngineOptions } from '@millrace/relay';
import { Registry } from 'prom-client';
import { registerRouteGauges } from '../metrics/route-gauges.js';
import { RouteMeters } from '../metrics/route-meters.js';
import { EngineLife } from './engine-life.js';
import { heldObserver } from './held-observer.js';
import { RouteLog } from './route-log.js';
import { takeOverObserver } from './take-over-observer.js';

/** What the engine works on: sources, sinks and routes, and this process's name among the relays. */
export type EngineParts = Pick<RelayEngineOptions, 'owner' | 'sources' | 'sinks' | 'routes'>;

/** Offers the one `RelayEngine` of the process, observed by the metrics and the log, and its life. */
@Module({})
export class EngineModule {
  static forRoot(parts: EngineParts): DynamicModule {
    const engine = {
      provide: RelayEngine,
      inject: [Registry],
      useFactory: (registry: Registry): RelayEngine => createEngine(parts, registry),
    };
    return {
      module: EngineModule,
      imports: [MetricsModule],
      providers: [engine, EngineLife],
      exports: [RelayEngine, EngineLife],
    };
  }
}

function createEngine(parts: EngineParts, registry: Registry): RelayEngine {
  const labels = parts.routes.map(({ name, source, sink }) => ({ route: name, source, sink }));
  const meters = new RouteMeters(registry, labels);
  const log = new RouteLog();
  const engine = new RelayEngine({
    ...parts,
    observer: {
      ...takeOverObserver(registry, labels),
      ...heldObserver(registry, labels),
      stateChanged: (change) => {
        log.stateChanged(change);
      },
      membersChanged: (change) => {
        log.membersChanged(change);
      },
      pageRead: (read) => {
        meters.pageRead(read);
      },
      batchSent: (sent) => {
        meters.batchSent(sent);
      },
      sendFailed: (failed) => {
        meters.sendFailed(failed);
      },
      pagesSettled: (settled) => {
        meters.pagesSettled(settled);
      },
      forkRepaired: (repaired) => {
        meters.forkRepaired(repaired);
        log.forkRepaired(repaired);
      },
    },
  });
  registerRouteGauges(registry, engine);
  return engine;
}
