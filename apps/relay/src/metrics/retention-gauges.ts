import { Gauge, type Registry } from 'prom-client';
import { leavesOf } from '../retention/leaves-of.js';
import { type SourceHistory } from '../retention/source-retention.js';
import {
  ALARM_NAMES,
  ALARMS,
  HELD_POSITIONS,
  HELD_SECONDS,
  HISTORY_GAUGES,
  knownOf,
  LEAF_STATES,
  LEAVES,
} from './retention-metrics.js';

/** Where the numbers come from. */
export interface HistorySource {
  histories(): readonly SourceHistory[];
}

/** Makes the metrics that are read from the last run at each scrape. */
export function registerRetentionGauges(registry: Registry, runs: HistorySource): void {
  for (const { name, help, valueOf } of HISTORY_GAUGES) {
    new Gauge({
      name,
      help,
      labelNames: ['source'],
      registers: [registry],
      collect() {
        this.reset();
        for (const history of runs.histories()) {
          const value = valueOf(history);
          if (value !== null) {
            this.set({ source: history.source }, value);
          }
        }
      },
    });
  }
  registerLeaves(registry, runs);
  registerAlarms(registry, runs);
  registerHolds(registry, runs);
}

function registerLeaves(registry: Registry, runs: HistorySource): void {
  new Gauge({
    ...LEAVES,
    registers: [registry],
    collect() {
      this.reset();
      for (const history of runs.histories()) {
        const run = knownOf(history);
        for (const state of run === null ? [] : Object.keys(LEAF_STATES)) {
          const leaves = run === null ? [] : leavesOf(run).filter((leaf) => leaf.state === state);
          this.set({ source: history.source, state }, leaves.length);
        }
      }
    },
  });
}

/** An alarm stays while nobody can look. */
function registerAlarms(registry: Registry, runs: HistorySource): void {
  new Gauge({
    ...ALARMS,
    registers: [registry],
    collect() {
      for (const { source, alarms } of runs.histories()) {
        for (const alarm of Object.keys(ALARM_NAMES)) {
          this.set({ source, alarm }, alarms.filter(({ kind }) => kind === alarm).length);
        }
      }
    },
  });
}

function registerHolds(registry: Registry, runs: HistorySource): void {
  new Gauge({
    ...HELD_POSITIONS,
    registers: [registry],
    collect() {
      this.reset();
      for (const history of runs.histories()) {
        for (const { route, positions } of knownOf(history)?.status.routes ?? []) {
          this.set({ source: history.source, route }, Number(positions));
        }
      }
    },
  });
  new Gauge({
    ...HELD_SECONDS,
    registers: [registry],
    collect() {
      this.reset();
      for (const history of runs.histories()) {
        for (const { route, ageMs } of knownOf(history)?.status.routes ?? []) {
          this.set({ source: history.source, route }, ageMs / 1_000);
        }
      }
    },
  });
}
