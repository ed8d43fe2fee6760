import { SINK_PROPERTIES, type SinkVerdict } from '@millrace/testing';

/** What came of one sink, property by property; there is nothing here that was not asked. */
export interface SinkResults {
  readonly name: string;
  readonly verdicts: ReadonlyMap<string, SinkVerdict>;
  readonly limits?: Readonly<Record<string, string>> | undefined;
}

/** Where and of what a run was. */
export interface RunFacts {
  readonly date: string;
  readonly commit: string;
  readonly command: string;
  readonly node: string;
}

/** `docs/SINKS.md`. Every cell comes from a verdict; where there is none, it says that nothing was run. */
export function sinksDocument(results: readonly SinkResults[], { date, commit, command, node }: RunFacts): string {
  const heads = ['property', ...results.map(({ name }) => name)];
  const lines = SINK_PROPERTIES.map(({ name, promise }) => [
    `**${name}**: ${promise}`,
    ...results.map(({ verdicts, limits }) => cellOf(verdicts.get(name), limits?.[name])),
  ]);
  return `# Sinks: what each of them holds

Written by \`${command}\` on ${date} at commit ${commit}, Node ${node}; not by hand. Each sink ran on its real
server, behind a proxy that injects the faults: Apache Kafka of one and of three nodes (three replicas, two in sync at least),
SQS as \`fauxqs\` speaks it, PostgreSQL. The same suite (libs/testing/src/conformance) asks every sink the same; what it does
not declare is not asked of it, and says so. How to run it on a sink of your own: [libs/transport](../libs/transport/README.md).

${table([heads, ...lines])}
## What was seen

${table([heads, ...SINK_PROPERTIES.map(({ name }) => [name, ...results.map(({ verdicts }) => seenIn(verdicts.get(name)))])])}`;
}

/** One line of the terminal. */
export function verdictLine(property: string, verdict: SinkVerdict): string {
  return `  ${cellOf(verdict).padEnd(14)} ${property}: ${seenIn(verdict)}`;
}

function cellOf(verdict: SinkVerdict | undefined, limit?: string): string {
  switch (verdict?.kind) {
    case 'passed':
      return limit === undefined ? 'passed' : `passed, ${limit}`;
    case 'not promised':
      return 'not promised';
    case 'failed':
      return '**FAILED**';
    case undefined:
      return 'not run';
  }
}

function seenIn(verdict: SinkVerdict | undefined): string {
  if (verdict === undefined) {
    return 'not run';
  }
  return verdict.kind === 'passed' ? verdict.seen : verdict.reason;
}

function table([heads = [], ...lines]: readonly (readonly string[])[]): string {
  const rows = [heads, heads.map(() => '---'), ...lines];
  return rows.map((cells) => `| ${cells.map(inCell).join(' | ')} |\n`).join('');
}

function inCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');
}
