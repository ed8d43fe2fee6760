import { type CaptureMode } from '@millrace/capture';
import { say } from '../harness/say.js';
import { type Servers, withClient } from '../harness/servers.js';
import { appendTimes } from './append-times.js';
import { startBenchServers } from './bench-servers.js';
import { BenchRelay } from './capture/bench-relay.js';
import { commitAtRate } from './committed-load.js';
import { cpuBetween, type Cpu, shareOfCore } from './cpu.js';
import { CONNECTIONS, type LatencyOptions, WARM_UP_SECONDS } from './latency.js';
import { machineText } from './machine.js';
import { percentile } from './statistics.js';
import { markdownTable, text } from './table.js';

/** What `bench latency --old-snapshot` is asked to do. */
export interface OldSnapshotOptions extends Omit<LatencyOptions, 'runs' | 'seconds'> {
  /** For how long the snapshot is held. */
  readonly snapshotSeconds: number;
}

/** A tenth of the time that the snapshot is held. */
interface Stretch {
  readonly events: number;
  readonly seconds: number;
  readonly used: Cpu;
  readonly ledgerWrites: number;
  readonly ledgerMs: number;
  readonly ledgerBytes: number;
}

const STRETCHES = 10;
const COLUMNS = [
  'part',
  'events/s',
  'p50 ms',
  'p99 ms',
  'max ms',
  'ledger writes/s',
  'ms a ledger write',
  'ledger KiB',
  'relay, % of a core',
  'PostgreSQL, % of a core',
];
const LEDGER_SIZE_SQL = `select pg_total_relation_size('millrace.ledger') + pg_total_relation_size('millrace.ledger_gap') as bytes`;

/** The same latency while a snapshot older than all events is held, so that no dead version of a ledger row can go. */
export async function benchOldSnapshot(options: OldSnapshotOptions): Promise<void> {
  const servers = await startBenchServers();
  let isComplete = false;
  try {
    say(`${CONNECTIONS} connections, one-row transactions; ${machineText()}\n`);
    for (const capture of options.captures) {
      for (const eventsPerSecond of options.rates) {
        const rows = await measureUnderSnapshot(servers, options, { capture, eventsPerSecond });
        const title = `${capture}, ${text(eventsPerSecond)} events/s, a snapshot held for ${options.snapshotSeconds} s`;
        say(`${title}:\n${markdownTable(COLUMNS, rows)}\n`);
      }
    }
    isComplete = true;
  } finally {
    await servers.stop(isComplete ? 'remove' : 'keep');
  }
}

async function measureUnderSnapshot(
  servers: Servers,
  { client, nodeArguments, snapshotSeconds }: OldSnapshotOptions,
  { capture, eventsPerSecond }: { readonly capture: CaptureMode; readonly eventsPerSecond: number },
): Promise<string[][]> {
  const name = `snapshot_${capture}_${eventsPerSecond}`;
  const relay = await BenchRelay.start(servers, { name, client, capture, nodeArguments, sources: 1 });
  try {
    const load = { databaseUrl: relay.databaseUrl, connections: CONNECTIONS, eventsPerSecond };
    const { length: warmUp } = await commitAtRate({ ...load, seconds: WARM_UP_SECONDS });
    const committedAtMs: number[] = [];
    const stretches: Stretch[] = [];
    await withClient(relay.databaseUrl, async (holder) => {
      await holder.query('begin isolation level repeatable read');
      await holder.query('select count(*) from millrace.ledger');
      for (let part = 1; part <= STRETCHES; part += 1) {
        const firstNumber = warmUp + committedAtMs.length;
        const stretch = await measureStretch(relay, async () => {
          const seconds = Math.max(1, Math.round(snapshotSeconds / STRETCHES));
          const times = await commitAtRate({ ...load, seconds, firstNumber });
          committedAtMs.push(...times);
          return times.length;
        });
        stretches.push(stretch);
      }
      await holder.query('commit'); // rejects when the snapshot was taken away meanwhile
    });
    const records = warmUp + committedAtMs.length;
    await relay.settled(records);
    await relay.requireSameStreams();
    const appendedAtMs = await appendTimes({ brokers: servers.kafka.brokers, topic: relay.topic, records });
    const waitsMs = committedAtMs.map((ms, index) => (appendedAtMs[warmUp + index] ?? Number.NaN) - ms);
    return rowsOf(stretches, waitsMs);
  } finally {
    await relay.end();
  }
}

async function measureStretch(relay: BenchRelay, work: () => Promise<number>): Promise<Stretch> {
  const before = { used: relay.usage(), ...(await ledgerWritesOf(relay)) };
  const startedMs = performance.now();
  const events = await work();
  const seconds = (performance.now() - startedMs) / 1_000;
  const after = { used: relay.usage(), ...(await ledgerWritesOf(relay)) };
  return {
    events,
    seconds,
    used: cpuBetween(before.used, after.used),
    ledgerWrites: after.writes - before.writes,
    ledgerMs: (after.seconds - before.seconds) * 1_000,
    ledgerBytes: await withClient(relay.databaseUrl, async (client) => {
      const { rows } = await client.query<{ bytes: string }>(LEDGER_SIZE_SQL);
      return Number(rows[0]?.bytes);
    }),
  };
}

async function ledgerWritesOf({ process }: BenchRelay): Promise<{ readonly writes: number; readonly seconds: number }> {
  return {
    writes: (await process.metric('millrace_relay_settle_duration_seconds_count')) ?? Number.NaN,
    seconds: (await process.metric('millrace_relay_settle_duration_seconds_sum')) ?? Number.NaN,
  };
}

function rowsOf(stretches: readonly Stretch[], waitsMs: readonly number[]): string[][] {
  let first = 0;
  return stretches.map(({ events, seconds, used, ledgerWrites, ledgerMs, ledgerBytes }, index) => {
    const waits = waitsMs.slice(first, first + events);
    first += events;
    return [
      `${index + 1} of ${stretches.length}`,
      text(events / seconds),
      ...[0.5, 0.99, 1].map((share) => text(percentile(waits, share))),
      text(ledgerWrites / seconds),
      text(ledgerMs / ledgerWrites, 2),
      text(ledgerBytes / 1_024),
      text(shareOfCore(used.relay, seconds), 1),
      text(shareOfCore(used.postgres, seconds), 1),
    ];
  });
}
