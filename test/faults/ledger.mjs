import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * `npm run test:faults -- ledger [--seeds 20] [--from 1]`: the ledger under 16 concurrent writers (test/ledger), one run
 * per seed, on one PostgreSQL of its own. Prints a line per seed; ends with 1 when one of them failed.
 */
const ROOT = join(import.meta.dirname, '..', '..');
/** The run needs no Kafka. */
const NO_KAFKA = '127.0.0.1:1';

const say = (line) => process.stdout.write(`${line}\n`);

const seeds = seedsOf(process.argv.slice(2));
if (seeds === null) {
  say('Options: --seeds <how many, 1 to 1000> --from <first seed>.');
  process.exitCode = 2;
} else {
  process.exitCode = await main(seeds);
}

function seedsOf(args) {
  try {
    const options = { seeds: { type: 'string', default: '20' }, from: { type: 'string', default: '1' } };
    // a name of this run may stand before the options
    const { values } = parseArgs({ args, options, allowPositionals: true });
    const [count, first] = [Number(values.seeds), Number(values.from)];
    const isSound = Number.isInteger(count) && count >= 1 && count <= 1_000 && Number.isInteger(first) && first >= 0;
    return isSound ? Array.from({ length: count }, (_, index) => first + index) : null;
  } catch {
    return null;
  }
}

async function main(wanted) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-ledger-'));
  const report = join(folder, 'report.jsonl');
  try {
    say(`The ledger under 16 writers, seeds ${wanted[0]} to ${wanted[wanted.length - 1]}.`);
    const { status, output } = await runJest(wanted, report);
    const lines = existsSync(report) ? readFileSync(report, 'utf8').trim().split('\n') : [];
    const runs = lines.map((line) => JSON.parse(line));
    print(runs);
    if (status !== 0) {
      say(output);
    }
    const failed = wanted.length - runs.length;
    say(`${runs.length} passed, ${failed} failed`);
    return status === 0 && failed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runJest(wanted, report) {
  const jest = spawn(
    join(ROOT, 'node_modules', '.bin', 'node'),
    [
      ...['--experimental-vm-modules', '--no-warnings', join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js')],
      ...['--runTestsByPath', join('test', 'ledger', 'ledger.int-spec.ts')],
    ],
    {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...process.env,
        MILLRACE_TEST_KAFKA_BROKERS: NO_KAFKA,
        MILLRACE_LEDGER_SEEDS: wanted.join(','),
        MILLRACE_LEDGER_REPORT: report,
      },
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => jest.kill(signal));
  }
  let output = '';
  jest.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const status = await new Promise((resolve) => {
    jest.once('close', resolve);
  });
  return { status, output };
}

function print(runs) {
  say('seed  page rows  committed  never came  gap ranges at most  owners  pages');
  for (const { seed, pageRowsMax, committed, died, gapRangesMax, owners, pages } of runs) {
    const columns = [
      [seed, 4],
      [pageRowsMax, 11],
      [committed, 11],
      [died, 12],
      [gapRangesMax, 20],
      [owners, 8],
      [pages, 7],
    ];
    say(columns.map(([value, width]) => String(value).padStart(width)).join(''));
  }
  const sum = (name) => runs.reduce((total, run) => total + run[name], 0);
  const most = runs.reduce((highest, run) => Math.max(highest, run.gapRangesMax), 0);
  say(
    `${sum('committed')} events committed, ${sum('died')} positions never came, ${sum('owners')} owners: ` +
      `none lost, none invented, none twice, none out of order; at most ${most} gap ranges`,
  );
}
