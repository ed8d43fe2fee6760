import { describe, expect, it } from '@jest/globals';
import { SINK_PROPERTIES, type SinkVerdict } from '@millrace/testing';
import { sinksDocument } from './verdict-table.js';

const FACTS = { date: '2026-01-02', commit: 'abc', command: 'npm run x', node: 'v24' };

function cellsOf(document: string, property: string): readonly string[] {
  const line = document.split('\n').find((each) => each.startsWith(`| **${property}**`));
  return (line ?? '')
    .split(' | ')
    .slice(1)
    .map((cell) => cell.replace(/ \|$/, ''));
}

describe('the table of the sinks', () => {
  it('has a cell for each property and sink, and says passed only where a check has passed', () => {
    const verdicts = new Map<string, SinkVerdict>([
      ['coverage', { kind: 'passed', seen: '3 records' }],
      ['order per key', { kind: 'not promised', reason: 'its server shuffles' }],
      ['poison', { kind: 'failed', reason: 'a | b' }],
    ]);

    const document = sinksDocument(
      [
        { name: 'A', verdicts, limits: { coverage: 'by day', poison: 'by night', 'order per key': 'at dawn' } },
        { name: 'B', verdicts: new Map() },
      ],
      FACTS,
    );

    expect(cellsOf(document, 'coverage')).toEqual(['passed, by day', 'not run']);
    expect(cellsOf(document, 'order per key')).toEqual(['not promised', 'not run']);
    expect(cellsOf(document, 'poison')).toEqual(['**FAILED**', 'not run']);
    expect(document).toContain('| poison | a \\| b | not run |');
    expect(SINK_PROPERTIES.map(({ name }) => cellsOf(document, name).length)).toEqual(SINK_PROPERTIES.map(() => 2));
  });
});
