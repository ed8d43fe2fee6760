import { parseArgs } from 'node:util';
import { CommandError } from '../setup/command-error.mjs';

export const HELP = `npm run demo [-- options]

Places orders against the running npm start, or against one that it starts and stops itself, shows what becomes of
them, and ends with a report on whether every piece of stock and every cent is where it belongs. Exit code 1 if not.

  --orders <number>     how many (3000)
  --rate <number>       how many a second (100)
  --minutes <number>    how long; in place of --orders
  --chaos               meanwhile kills the relay, the services, Kafka and PostgreSQL at random, with SIGKILL
  --seed <number>       makes the same orders and the same order of kills again (else at random, and printed)
  --report <file>       writes the report to this file as well

Ctrl-C stops placing orders and comes to the report; a second one ends at once.`;

const OPTIONS = {
  orders: { type: 'string' },
  rate: { type: 'string' },
  minutes: { type: 'string' },
  seed: { type: 'string' },
  report: { type: 'string' },
  chaos: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
};

/** What `npm run demo -- ...` was told. Throws, with one sentence, on what is not valid. */
export function parseDemoArguments(given, random = Math.random) {
  const { orders, rate, minutes, seed, report, chaos, help } = valuesOf(given);
  if (orders !== undefined && minutes !== undefined) {
    throw new CommandError('npm run demo takes --orders or --minutes, not both.');
  }
  const ratePerSecond = wholeNumber('--rate', rate, { byDefault: 100, max: 1_000 });
  const orderCount =
    minutes === undefined
      ? wholeNumber('--orders', orders, { byDefault: 3_000, max: 1_000_000 })
      : wholeNumber('--minutes', minutes, { max: 240 }) * 60 * ratePerSecond;
  return {
    orders: orderCount,
    ratePerSecond,
    seed: wholeNumber('--seed', seed, { byDefault: Math.floor(random() * 1_000_000), max: 4_294_967_295, min: 0 }),
    reportFile: report,
    isChaos: chaos,
    isHelp: help,
  };
}

function valuesOf(given) {
  try {
    return parseArgs({ args: given, options: OPTIONS, allowPositionals: false }).values;
  } catch (error) {
    throw new CommandError(`${error.message.split('. ')[0]}. See npm run demo -- --help.`);
  }
}

function wholeNumber(option, text, { byDefault, min = 1, max }) {
  if (text === undefined) {
    return byDefault;
  }
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max)) {
    throw new CommandError(`${option} is not valid: give a whole number from ${min} to ${max}.`);
  }
  return number;
}
