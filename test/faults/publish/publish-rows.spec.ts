import { describe, expect, it } from '@jest/globals';
import { PUBLISH_ROWS, QUEUE_ROWS, rowsMeantBy } from './publish-rows.js';

describe('the names of rows', () => {
  const rows = [...PUBLISH_ROWS, ...QUEUE_ROWS];

  it.each([
    ['39a', ['39a']],
    ['39', ['39a', '39b', '39c']],
    ['3', ['3']],
    ['D3', ['D3a', 'D3b', 'D3c', 'D3-control']],
    ['48', ['48a', '48b', '48-control-1', '48-control-2']],
    ['4', []],
  ])('%s stands for %j', (name, ids) => {
    expect(rowsMeantBy(rows, [name]).map(({ id }) => id)).toEqual(ids);
  });

  it('are each given once', () => {
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  });
});
