import { describe, expect, it } from '@jest/globals';
import { TypeLabels } from './type-labels.js';

describe('TypeLabels', () => {
  it('names handled types, and the first hundred of the others', () => {
    const labels = new TypeLabels();
    const names = Array.from({ length: 101 }, (_, n) => `type.${n}`);

    expect(names.map((name) => labels.labelOf(name, true))).toEqual([...names.slice(0, 100), 'other']);
    expect(labels.labelOf('type.0', true)).toBe('type.0');
    expect(labels.labelOf('order.placed', false)).toBe('order.placed');
    expect(labels.labelOf('', true)).toBe('none');
  });

  it.each([['x'.repeat(201)], ['a b'], ['a\n'], ['naïve'], ['\u{1f600}']])(
    'takes what is no name of a type for other: %#',
    (name) => {
      expect(new TypeLabels().labelOf(name, true)).toBe('other');
    },
  );

  it('spends no label on them', () => {
    const labels = new TypeLabels();
    for (let n = 0; n < 200; n++) {
      labels.labelOf(`no name ${n}`, true);
    }
    expect(labels.labelOf('a.name', true)).toBe('a.name');
  });
});
