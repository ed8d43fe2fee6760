import { familyCpuMs, processCpuMs } from '../harness/process-usage.js';
import { type Servers } from '../harness/servers.js';

/** Processor time by who used it. */
export interface Cpu {
  readonly relay: number;
  readonly postgres: number;
  /** The server that the events go to. */
  readonly sink: number;
}

/** Milliseconds that each has used so far; of PostgreSQL, those of the processes that it has now. */
export function cpuMs(relayPid: number, { postgres, kafka }: Servers): Cpu {
  return { relay: processCpuMs(relayPid), postgres: familyCpuMs(postgres.pid), sink: processCpuMs(kafka.pid) };
}

export function cpuBetween(before: Cpu, after: Cpu): Cpu {
  return {
    relay: after.relay - before.relay,
    postgres: after.postgres - before.postgres,
    sink: after.sink - before.sink,
  };
}

/** Milliseconds of all, as microseconds per event. */
export function cpuPerEvent(ms: Cpu, events: number): Cpu {
  const micros = (used: number): number => (used * 1_000) / events;
  return { relay: micros(ms.relay), postgres: micros(ms.postgres), sink: micros(ms.sink) };
}

/** Milliseconds within so many seconds, as a share of one core in percent. */
export function shareOfCore(ms: number, seconds: number): number {
  return ms / (seconds * 10);
}
