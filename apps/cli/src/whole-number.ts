import { InvalidArgumentError, Option } from 'commander';

const WHOLE_MAX = 2_147_483_647;
const LIMIT_MAX = 1_000;

/** A number of things. */
export function parseWhole(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > WHOLE_MAX) {
    throw new InvalidArgumentError('Give a whole number.');
  }
  return Number(text);
}

/** `--limit`: how many are listed at most. */
export function limitOption(of: string): Option {
  return new Option(`--limit <${of}>`, `at most so many, up to ${LIMIT_MAX}`).default(100).argParser((text) => {
    const limit = parseWhole(text);
    if (limit < 1 || limit > LIMIT_MAX) {
      throw new InvalidArgumentError(`Give a whole number from 1 to ${LIMIT_MAX}.`);
    }
    return limit;
  });
}
