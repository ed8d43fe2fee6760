import { describe, expect, it } from '@jest/globals';
import { type Repeat } from '../delivery-check.js';
import { type ClaimHistory, repeatCause } from './repeat-cause.js';

const LANE = 'orders/3';
const CLAIMS: ClaimHistory = {
  killedAt: new Map([[7n, 'before-ledger']]),
  readTo: (epoch, lane) => (epoch === 8n && lane === LANE ? 100n : undefined),
  isNumbered: true,
};

function repeat(given: Partial<Repeat> = {}): Repeat {
  return { firstEpoch: 7n, epoch: 8n, lane: LANE, firstOffset: 99n, ...given };
}

describe('the cause of a repeat', () => {
  it('breaks the promise when the next owner had it before his eyes', () => {
    expect(repeatCause(repeat(), CLAIMS)).toEqual({
      text: 'stood there when the next owner looked, of a relay killed before-ledger',
      isBroken: true,
    });
  });

  it('breaks the promise when the next owner had not looked', () => {
    expect(repeatCause(repeat({ epoch: 9n }), CLAIMS)).toMatchObject({ isBroken: true });
    expect(repeatCause(repeat({ lane: 'orders/4' }), CLAIMS)).toMatchObject({ isBroken: true });
  });

  it('is not promised away when the dead relay has stored it after the next owner had looked', () => {
    const late = {
      text: 'stored after the next owner had looked, of a relay killed before-ledger',
      isBroken: false,
    };
    expect(repeatCause(repeat({ firstOffset: 100n }), CLAIMS)).toEqual(late);
    expect(repeatCause(repeat({ firstEpoch: 8n, epoch: 7n }), CLAIMS)).toEqual(late);
  });

  it('tells a claim that ended without a kill', () => {
    const cause = repeatCause(repeat({ firstEpoch: 6n, firstOffset: 100n }), CLAIMS);
    expect(cause.text).toBe('stored after the next owner had looked, of a relay that lost its lease');
  });

  it('of one relay breaks the promise where batches are numbered', () => {
    const again = repeat({ firstEpoch: 8n });
    expect(repeatCause(again, CLAIMS)).toEqual({ text: 'sent again by the same relay', isBroken: true });
    expect(repeatCause(again, { ...CLAIMS, isNumbered: false })).toMatchObject({ isBroken: false });
  });
});
