import { describe, expect, it } from '@jest/globals';
import { CaptureError } from './capture.errors.js';
import { drainingNews } from './draining-capture.js';

const MAY_NOT = new CaptureError('not_authorised', 'The role may not drop it.');

describe('the news of the slot of a shard that drains', () => {
  it('is that it cannot be dropped', () => {
    expect(drainingNews({ kind: 'failed', error: MAY_NOT, retryInMs: 100 })).toEqual({
      reading: 'table',
      slot: 'failed',
      message: 'The change of shards waits for the slot of the shard. The role may not drop it.',
      isWarning: true,
    });
  });

  it('is nothing while all goes well, nor when the claim is over', () => {
    const over = new CaptureError('fenced', 'Another relay has the route.');
    expect(drainingNews({ kind: 'looking' })).toBeNull();
    expect(drainingNews({ kind: 'let-go', reason: 'The number of shards changes.' })).toBeNull();
    expect(drainingNews({ kind: 'failed', error: over, retryInMs: null })).toBeNull();
  });
});
