import { type DynamicModule, Module } from '@nestjs/common';
import { MetricsModule } from '@millrace/http';
import { Registry } from 'prom-client';
import { type SourceConfig } from '../config/relay-config.js';
import { registerRetentionGauges } from '../metrics/retention-gauges.js';
import { RetentionMeters } from '../metrics/retention-meters.js';
import { type RetentionListener } from './retention-listener.js';
import { RetentionLog } from './retention-log.js';
import { RETENTION_PACE, type RetentionPace } from './retention-pace.js';
import { RetentionRuns } from './retention-runs.js';
import { SourceRetention } from './source-retention.js';

/** Whose history is looked at and, where that is configured, removed. */
export interface RetentionParts {
  readonly sources: readonly Pick<SourceConfig, 'name' | 'databaseUrl' | 'retention'>[];
  readonly pace?: RetentionPace;
}

/** Offers the one `RetentionRuns` of the process, which the metrics and the log listen to. */
@Module({})
export class RetentionModule {
  static forRoot(parts: RetentionParts): DynamicModule {
    const runs = {
      provide: RetentionRuns,
      inject: [Registry],
      useFactory: (registry: Registry): RetentionRuns => createRuns(parts, registry),
    };
    return { module: RetentionModule, imports: [MetricsModule], providers: [runs], exports: [RetentionRuns] };
  }
}

function createRuns({ sources, pace = RETENTION_PACE }: RetentionParts, registry: Registry): RetentionRuns {
  const listener = listenerOf(new RetentionMeters(registry), new RetentionLog());
  const runs = new RetentionRuns(
    sources.map(
      ({ name, databaseUrl, retention }) =>
        new SourceRetention({ source: name, databaseUrl, retention, pace, listener, random: Math.random }),
    ),
  );
  registerRetentionGauges(registry, runs);
  return runs;
}

function listenerOf(meters: RetentionMeters, log: RetentionLog): RetentionListener {
  return {
    observer: {
      leafEmptied: (leaf) => {
        meters.leafEmptied(leaf);
        log.leafEmptied(leaf);
      },
      leavesDropped: (dropped) => {
        log.leavesDropped(dropped);
      },
      routeExpired: (expired) => {
        meters.routeExpired(expired);
        log.routeExpired(expired);
      },
      slotLetGo: (slot) => {
        log.slotLetGo(slot);
      },
      alarmRaised: (alarm) => {
        log.alarmRaised(alarm);
      },
      alarmCleared: (alarm) => {
        log.alarmCleared(alarm);
      },
    },
    leafArchived: (leaf) => {
      meters.leafArchived(leaf);
      log.leafArchived(leaf);
    },
    ran: (run) => {
      meters.ran(run);
    },
    problemChanged: (change) => {
      log.problemChanged(change);
    },
  };
}
