import { markdownTable, text } from '../table.js';
import { type ParityResult } from './parity-result.js';
import { COMPARED, type Difference, isSame } from './same-records.js';

const EXAMPLES = 5;
const SHOWN_MAX = 80;

/** Whether the scenario has shown that both publish the same: nothing undocumented, all events there, each fault found. */
export function isEqual({ events, comparison, unfound }: ParityResult): boolean {
  return isSame(comparison) && comparison.records === events && unfound.length === 0;
}

/** What was compared, what differed as documented, what was refused, and every problem. */
export function parityTables(results: readonly ParityResult[]): string {
  const compared = results.map(({ name, events, comparison, planted, unfound }) => [
    name,
    ...[events, comparison.records, comparison.topics, comparison.keys].map((count) => text(count)),
    ...[comparison.missing.length, comparison.different.length, comparison.reordered.length].map((count) =>
      text(count),
    ),
    `${planted - unfound.length} of ${planted}`,
  ]);
  const equal = results.map(({ name, comparison }) => [
    name,
    ...COMPARED.map((field) => `${text(comparison.equal[field])} of ${text(comparison.records)}`),
  ]);
  const documented = results.flatMap(({ name, comparison }) =>
    [...comparison.documented].map(([what, { records, example }]) => [name, what, text(records), exampleOf(example)]),
  );
  const refused = results.flatMap(({ name, refused: rows }) =>
    rows.map(({ why, published }) => [name, why, published]),
  );
  return [
    ...results.map(({ name, about }) => `- ${name}: ${about}`),
    '',
    markdownTable(
      ['scenario', 'events', 'in both once', 'topics', 'keys', 'missing', 'different', 'out of order', 'faults found'],
      compared,
    ),
    '',
    markdownTable(['scenario', ...COMPARED.map((field) => `same ${field}`)], equal),
    '',
    markdownTable(['scenario', 'documented difference', 'records', 'such as'], documented),
    '',
    markdownTable(['scenario', 'row that Millrace refuses', 'what Debezium publishes'], refused),
    ...results.flatMap(problemsOf),
  ].join('\n');
}

function problemsOf({ name, comparison, unfound }: ParityResult): string[] {
  const { missing, different, reordered, documented } = comparison;
  const stale = [...documented].filter(([, { records }]) => records === 0).map(([what]) => what);
  const fields = [...new Set(different.map(({ field }) => field))];
  const examples = fields.flatMap((field) => different.filter((each) => each.field === field).slice(0, EXAMPLES));
  return [
    ...listed('missing, or more than once', missing),
    ...listed(
      `different in ${fields.join(', ')}`,
      examples.map(({ id, field, ours, theirs }) => `\n  ${id} ${field}: ${shown(ours)} and ${shown(theirs)}`),
      different.length,
    ),
    ...listed('in another order', reordered),
    ...listed('documented, but not seen', stale),
    ...listed('planted, but not found', unfound),
  ].map((line) => `${name}: ${line}`);
}

function exampleOf(difference: Difference | null): string {
  return difference === null
    ? ''
    : `${difference.field}: ${shown(difference.ours)} and ${shown(difference.theirs)}`.replaceAll('|', '\\|');
}

function listed(what: string, items: readonly string[], count = items.length): string[] {
  return items.length === 0 ? [] : [`${count} ${what}: ${items.slice(0, 4 * EXAMPLES).join(', ')}`];
}

function shown(value: string | null): string {
  return value === null ? 'none' : JSON.stringify(value.slice(0, SHOWN_MAX));
}
