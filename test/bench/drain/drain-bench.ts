import { say } from '../../harness/say.js';
import { Backlog } from '../backlog.js';
import { machineText } from '../machine.js';
import { median } from '../statistics.js';
import { markdownTable, text } from '../table.js';
import { type Ceiling } from './ceiling.js';
import { type DrainSink, type DrainVariant } from './drain-sink.js';
import { drainByRelay, type DrainResult } from './relay-drain.js';

/** What `bench drain` is asked to do with one kind of sink. */
export interface DrainOptions {
  readonly start: () => Promise<DrainSink>;
  readonly events: number;
  readonly runs: number;
  /** Arguments for the relay's Node. */
  readonly nodeArguments: readonly string[];
}

interface VariantResults {
  readonly variant: DrainVariant;
  readonly drains: DrainResult[];
  readonly ceilings: Ceiling[];
}

const COLUMNS = [
  'medians',
  'events/s',
  '% of the ceiling',
  'relay, client: CPU us/event',
  'source CPU us/event',
  'sink CPU us/event',
  'relay peak MiB',
];

/**
 * Drains the same committed backlog in each way in turn, several times, each time beside what the sink's server takes
 * without a relay in the same run.
 */
export async function benchDrain({ start, events, runs, nodeArguments }: DrainOptions): Promise<void> {
  const sink = await start();
  let isComplete = false;
  try {
    const backlog = await Backlog.fill(sink.source, events);
    const what = `${events.toLocaleString('en')} events of ${backlog.payloadBytes} bytes`;
    say(`${what} into ${sink.title}; ${machineText()}\n`);
    const results = sink.variants.map((variant): VariantResults => ({ variant, drains: [], ceilings: [] }));
    for (let run = 1; run <= runs; run += 1) {
      for (const [number, result] of results.entries()) {
        await runOnce(sink, backlog, { result, name: `drain_${number}_${run}`, nodeArguments });
        say(`run ${run} ${lineOf(result)}`);
      }
    }
    say(`\n${markdownTable(COLUMNS, results.flatMap(rowsOf))}\n`);
    isComplete = true;
  } finally {
    await sink.stop(isComplete ? 'remove' : 'keep');
  }
}

interface Run {
  readonly result: VariantResults;
  readonly name: string;
  readonly nodeArguments: readonly string[];
}

async function runOnce(
  sink: DrainSink,
  backlog: Backlog,
  { result: { variant, drains, ceilings }, name, nodeArguments }: Run,
): Promise<void> {
  const place = await variant.open(name, backlog);
  drains.push(await drainByRelay(sink, { name, backlog, place, nodeArguments }));
  ceilings.push(await place.ceiling());
  await place.remove();
}

function lineOf({ variant, drains, ceilings }: VariantResults): string {
  const cells = cellsOf(drains.slice(-1), ceilings.slice(-1));
  const figures = cells.map((cell, column) => `${COLUMNS[column + 1] ?? ''} ${cell}`).join('; ');
  return `${variant.name}: ${figures}; ${variant.ceiling} ${text(ceilings.at(-1)?.eventsPerSecond ?? 0)}/s`;
}

function rowsOf({ variant, drains, ceilings }: VariantResults): string[][] {
  return [
    [`relay, ${variant.name}`, ...cellsOf(drains, ceilings)],
    [variant.ceiling, ...ceilingCellsOf(ceilings)],
  ];
}

/** The medians. */
function cellsOf(drains: readonly DrainResult[], ceilings: readonly Ceiling[]): string[] {
  const most = median(ceilings.map(({ eventsPerSecond }) => eventsPerSecond));
  const of = (value: (drain: DrainResult) => number, digits = 0): string => text(median(drains.map(value)), digits);
  return [
    of(({ eventsPerSecond }) => eventsPerSecond),
    of(({ eventsPerSecond }) => (eventsPerSecond / most) * 100),
    of(({ cpu }) => cpu.relay, 1),
    of(({ cpu }) => cpu.postgres, 1),
    of(({ cpu }) => cpu.sink, 1),
    of(({ peakMiB }) => peakMiB),
  ];
}

/** The same, where the client has the place of the relay. */
function ceilingCellsOf(ceilings: readonly Ceiling[]): string[] {
  const cpus = ceilings.flatMap(({ cpu }) => (cpu === null ? [] : [cpu]));
  const cpuOf = (values: readonly number[]): string => (values.length === 0 ? '' : text(median(values), 1));
  return [
    text(median(ceilings.map(({ eventsPerSecond }) => eventsPerSecond))),
    '100',
    cpuOf(cpus.map(({ client }) => client)),
    '',
    cpuOf(cpus.map(({ sink }) => sink)),
    '',
  ];
}
