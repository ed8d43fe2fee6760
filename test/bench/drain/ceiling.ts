import { processCpuMs } from '../../harness/process-usage.js';

/** What a sink's server takes where no relay is in between. */
export interface Ceiling {
  readonly eventsPerSecond: number;
  /** Microseconds of processor time per event, of this process and of the server; `null` where that was not measured. */
  readonly cpu: { readonly client: number; readonly sink: number } | null;
}

/** How the work of a ceiling is measured. */
export interface CeilingWork {
  readonly events: number;
  /** Milliseconds of processor time that the server has used so far. */
  readonly sinkCpuMs: () => number;
  readonly work: () => Promise<void>;
}

/** Measures what this process sends by itself, from the call to the end. */
export async function measureCeiling({ events, sinkCpuMs, work }: CeilingWork): Promise<Ceiling> {
  const before = { ms: performance.now(), client: processCpuMs(process.pid), sink: sinkCpuMs() };
  await work();
  const perEvent = (ms: number): number => (ms * 1_000) / events;
  return {
    eventsPerSecond: events / ((performance.now() - before.ms) / 1_000),
    cpu: {
      client: perEvent(processCpuMs(process.pid) - before.client),
      sink: perEvent(sinkCpuMs() - before.sink),
    },
  };
}
