import pg from 'pg';
import { median } from '../statistics.js';
import { markdownTable, text } from '../table.js';
import { type BenchOutbox, type OutboxPair } from './outbox-pair.js';
import { INSERT_SQL, INSERT_VALUES, type StatementPlan, StatementPlans } from './statement-plans.js';

/** Milliseconds and pages, of one kind each, by what was measured. */
type Samples = Map<string, number[]>;

const ROUNDS = 20;
const REPEATS = 100;
const EXPLAINED = 20;
const COLUMNS = ['medians', 'empty', 'full', 'full / empty'];

/**
 * What one insert and one poll cost in a full outbox and in an empty one: rounds of the same in turn, so that a machine
 * that changes its speed does so for both.
 */
export async function measureStatements({ empty, full }: OutboxPair): Promise<string> {
  const samples = [new Map<string, number[]>(), new Map<string, number[]>()] as const;
  for (let round = 0; round <= ROUNDS; round += 1) {
    // the first warms up: connections, prepared statements, what the catalogs say
    const target = round === 0 ? [new Map<string, number[]>(), new Map<string, number[]>()] : samples;
    for (const [index, outbox] of [empty, full].entries()) {
      await measureRound(outbox, target[index] ?? new Map<string, number[]>());
    }
  }
  const [ofEmpty, ofFull] = samples;
  const rows = [...ofEmpty].map(([name, values]) => {
    const [one, other] = [median(values), median(ofFull.get(name) ?? [])];
    return [name, text(one, 3), text(other, 3), one === 0 ? '' : text(other / one, 2)];
  });
  return markdownTable(COLUMNS, rows);
}

async function measureRound(outbox: BenchOutbox, samples: Samples): Promise<void> {
  const producer = new pg.Client({ connectionString: outbox.databaseUrl });
  await producer.connect();
  const plans = await StatementPlans.open(outbox);
  try {
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      const insert = { name: 'bench_insert', text: INSERT_SQL, values: INSERT_VALUES };
      await timed(samples, 'insert and its commit, ms', () => producer.query(insert));
      const page = await timed(samples, 'poll that finds it, ms', () => outbox.capture.nextPage());
      await timed(samples, 'ledger write, ms', () => outbox.capture.settle(page));
    }
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      await timed(samples, 'poll that finds nothing, ms', () => outbox.capture.nextPage());
    }
    for (let repeat = 0; repeat < EXPLAINED; repeat += 1) {
      note(samples, 'poll, EXPLAIN', await plans.poll());
    }
    for (let repeat = 0; repeat < EXPLAINED; repeat += 1) {
      note(samples, 'insert, EXPLAIN', await plans.insert());
    }
    await outbox.capture.settle(await outbox.capture.nextPage());
  } finally {
    await plans.close();
    await producer.end();
  }
}

async function timed<Result>(samples: Samples, name: string, work: () => Promise<Result>): Promise<Result> {
  const startedMs = performance.now();
  const result = await work();
  add(samples, name, performance.now() - startedMs);
  return result;
}

function note(samples: Samples, name: string, plan: StatementPlan): void {
  add(samples, `${name}: planning, ms`, plan.planMs);
  add(samples, `${name}: execution, ms`, plan.executeMs);
  add(samples, `${name}: pages, planning`, plan.planBuffers);
  add(samples, `${name}: pages, execution`, plan.buffers);
}

function add(samples: Samples, name: string, value: number): void {
  const known = samples.get(name);
  if (known === undefined) {
    samples.set(name, [value]);
  } else {
    known.push(value);
  }
}
