import { describe, expect, it } from '@jest/globals';
import { PreparedNames } from './prepared-names.js';

describe('names of prepared statements', () => {
  it('mean one text each', () => {
    const names = new PreparedNames();
    const first = names.of('select 1');

    expect(names.of('select 2')).not.toEqual(first);
    expect(names.of('select 1')).toEqual(first);
  });

  it('are given to the first hundred texts, as each costs memory in every connection', () => {
    const names = new PreparedNames();
    const given = Array.from({ length: 150 }, (_, n) => names.of(`select ${n}`));

    expect(new Set(given.map(({ name }) => name))).toHaveProperty('size', 101);
    expect(given.at(-1)).toEqual({});
    expect(names.of('select 0')).toEqual(given[0]);
  });
});
