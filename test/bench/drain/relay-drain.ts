import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '@millrace/testing';
import type pg from 'pg';
import { familyCpuMs, peakMemoryMiB, processCpuMs } from '../../harness/process-usage.js';
import { RelayProcess } from '../../harness/relay-process.js';
import { withClient } from '../../harness/servers.js';
import { type Backlog } from '../backlog.js';
import { type Cpu, cpuBetween, cpuPerEvent } from '../cpu.js';
import { type DrainPlace, type DrainSink } from './drain-sink.js';

/** What one drain took. */
export interface DrainResult {
  readonly eventsPerSecond: number;
  /** Microseconds of processor time per event. */
  readonly cpu: Cpu;
  readonly peakMiB: number;
}

/** One drain of a backlog by a relay process. */
export interface RelayDrain {
  readonly name: string;
  readonly backlog: Backlog;
  readonly place: DrainPlace;
  /** Arguments for Node. */
  readonly nodeArguments: readonly string[];
}

const POLL_MS = 20;
const DEADLINE_MS = 600_000;

/** Starts a relay on a copy of the backlog and ends it when the ledger says that everything is settled. */
export async function drainByRelay(
  { folder, source }: DrainSink,
  { name, backlog, place, nodeArguments }: RelayDrain,
): Promise<DrainResult> {
  const databaseUrl = await backlog.copy();
  const relay = new RelayProcess({
    ...place.relay,
    file: join(folder, name),
    databaseUrl,
    port: await freePort(),
    routes: [{ name: 'drain', topic: place.topic }],
    nodeArguments,
  });
  try {
    const usage = (): Cpu => ({
      relay: processCpuMs(relay.pid),
      postgres: familyCpuMs(source.pid),
      sink: place.cpuMs(),
    });
    const { seconds, cpu } = await withClient(databaseUrl, (database) =>
      untilDrained({ relay, database, last: backlog.events, usage }),
    );
    const peakMiB = peakMemoryMiB(relay.pid);
    return { eventsPerSecond: await place.rate(seconds), cpu: cpuPerEvent(cpu, backlog.events), peakMiB };
  } finally {
    await relay.end('SIGTERM');
    await backlog.drop(databaseUrl);
  }
}

interface DrainWatch {
  readonly relay: RelayProcess;
  readonly database: pg.Client;
  /** The last position of the backlog. */
  readonly last: number;
  readonly usage: () => Cpu;
}

/** Time, and processor time in ms, from the claim of the route (so without the relay's start) to the last ledger write. */
async function untilDrained({ relay, database, last, usage }: DrainWatch): Promise<{ seconds: number; cpu: Cpu }> {
  const deadline = performance.now() + DEADLINE_MS;
  let begin: { readonly ms: number; readonly cpu: Cpu } | undefined;
  while (relay.isRunning && performance.now() < deadline) {
    const { rows } = await database.query<{ low: string }>('select low from millrace.ledger');
    const low = rows[0]?.low;
    if (low !== undefined) {
      begin ??= { ms: performance.now(), cpu: usage() };
      if (Number(low) >= last) {
        return { seconds: (performance.now() - begin.ms) / 1_000, cpu: cpuBetween(begin.cpu, usage()) };
      }
    }
    await sleep(POLL_MS);
  }
  throw new Error(
    `The relay ${relay.isRunning ? 'did not drain the backlog in time' : 'ended'}: see ${relay.options.file}.log.`,
  );
}
