import { type CaptureMode } from '@millrace/capture';
import type pg from 'pg';
import { peakMemoryMiB } from '../../harness/process-usage.js';
import { type KafkaClient } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { type Servers, withClient } from '../../harness/servers.js';
import { fillOutbox } from '../backlog.js';
import { startBenchServers } from '../bench-servers.js';
import { type Cpu, cpuBetween, cpuPerEvent } from '../cpu.js';
import { machineText } from '../machine.js';
import { producerPerformanceOn } from '../producer-performance.js';
import { median } from '../statistics.js';
import { markdownTable, text } from '../table.js';
import { topicTimes } from '../topic-times.js';
import { BenchRelay, PARTITIONS } from './bench-relay.js';

/**
 * What waits for the relay: a `backlog` in transactions of 10,000 events, written while its route is paused, or one
 * `transaction` with all events.
 */
export type DrainKind = 'backlog' | 'transaction';

/** What `bench drain --capture` and `bench big-transaction` are asked to do. */
export interface CaptureDrainOptions {
  readonly kind: DrainKind;
  readonly client: KafkaClient;
  readonly captures: readonly CaptureMode[];
  readonly events: number;
  readonly runs: number;
  readonly nodeArguments: readonly string[];
}

interface DrainResult {
  /** From the call of resume or commit until the ledger says that all is settled. */
  readonly seconds: number;
  /** From there to the broker's first append. */
  readonly firstAppendMs: number;
  readonly eventsPerSecond: number;
  /** Microseconds of processor time per event. */
  readonly cpu: Cpu;
  readonly peakMiB: number;
}

const PAYLOAD_BYTES = 287;
const COLUMNS = [
  'medians',
  'seconds',
  'events/s',
  '% of ProducerPerformance',
  'first append, ms',
  'relay CPU us/event',
  'PostgreSQL CPU us/event',
  'Kafka CPU us/event',
  'relay peak MiB',
];

/** A relay that reads as it was told before the first event is there, then has all of them at once. */
export async function benchCaptureDrain(options: CaptureDrainOptions): Promise<void> {
  const servers = await startBenchServers();
  let isComplete = false;
  try {
    const events = options.events.toLocaleString('en');
    const what =
      options.kind === 'backlog' ? 'a backlog, from resume to settled' : 'one transaction, from its commit to settled';
    say(`${events} events of ${PAYLOAD_BYTES} bytes, ${what}, ${PARTITIONS} partitions, acks=all; ${machineText()}\n`);
    const results = new Map<CaptureMode, DrainResult[]>();
    const yardstick: number[] = [];
    for (let run = 1; run <= options.runs; run += 1) {
      yardstick.push(await producerPerformanceOn(servers, options.events, PAYLOAD_BYTES));
      for (const capture of options.captures) {
        const result = await drainOnce(servers, options, { capture, run });
        results.set(capture, [...(results.get(capture) ?? []), result]);
        say(`run ${run} ${capture}: ${cellsOf([result], median(yardstick.slice(-1))).join(', ')}`);
      }
    }
    const reference = median(yardstick);
    const rows = [...results].map(([capture, runs]) => [`relay, ${capture}`, ...cellsOf(runs, reference)]);
    const kafka = ["Kafka's ProducerPerformance", '', text(reference), '100', '', '', '', '', ''];
    say(`\n${markdownTable(COLUMNS, [...rows, kafka])}`);
    isComplete = true;
  } finally {
    await servers.stop(isComplete ? 'remove' : 'keep');
  }
}

async function drainOnce(
  servers: Servers,
  { kind, client, events, nodeArguments }: CaptureDrainOptions,
  { capture, run }: { readonly capture: CaptureMode; readonly run: number },
): Promise<DrainResult> {
  const name = `${kind}_${capture}_${run}`;
  const relay = await BenchRelay.start(servers, { name, client, capture, nodeArguments, sources: 1 });
  try {
    return await withClient(relay.databaseUrl, async (producer) => {
      await PREPARE[kind](relay, producer, events);
      const before = relay.usage();
      const began = { atMs: Date.now(), monotonicMs: performance.now() };
      await BEGIN[kind](relay, producer);
      await relay.settled(events);
      const seconds = (performance.now() - began.monotonicMs) / 1_000;
      const used = cpuBetween(before, relay.usage());
      const peakMiB = peakMemoryMiB(relay.process.pid);
      await relay.requireSameStreams();
      const { records, firstMs } = await topicTimes(servers.kafka.brokers, relay.topic, PARTITIONS);
      if (records !== events) {
        throw new Error(`The topic holds ${records} records instead of ${events}.`);
      }
      const firstAppendMs = firstMs - began.atMs;
      return { seconds, firstAppendMs, eventsPerSecond: events / seconds, cpu: cpuPerEvent(used, events), peakMiB };
    });
  } finally {
    await relay.end();
  }
}

const PREPARE: Readonly<Record<DrainKind, (relay: BenchRelay, producer: pg.Client, events: number) => Promise<void>>> =
  {
    backlog: async (relay, producer, events) => {
      await relay.pause();
      await fillOutbox(producer, { first: 1, last: events });
    },
    transaction: async (_relay, producer, events) => {
      await producer.query('begin');
      await fillOutbox(producer, { first: 1, last: events, perTransaction: events });
    },
  };

const BEGIN: Readonly<Record<DrainKind, (relay: BenchRelay, producer: pg.Client) => Promise<void>>> = {
  backlog: async (relay) => {
    await relay.resume();
  },
  transaction: async (_relay, producer) => {
    await producer.query('commit');
  },
};

/** The medians. */
function cellsOf(runs: readonly DrainResult[], reference: number): string[] {
  const of = (value: (run: DrainResult) => number, digits = 0): string => text(median(runs.map(value)), digits);
  return [
    of((run) => run.seconds, 1),
    of((run) => run.eventsPerSecond),
    of((run) => (run.eventsPerSecond / reference) * 100),
    of((run) => run.firstAppendMs),
    of((run) => run.cpu.relay, 1),
    of((run) => run.cpu.postgres, 1),
    of((run) => run.cpu.sink, 1),
    of((run) => run.peakMiB),
  ];
}
