import { describe, expect, it } from '@jest/globals';
import { readCopyFrame, standbyStatus } from './copy-frame.js';

const KEEPALIVE = Buffer.from('6b000000000175b3a80002f3a1c2d3e4f501', 'hex');

describe('readCopyFrame', () => {
  it('reads where the message of a data frame begins', () => {
    const frame = Buffer.concat([Buffer.from('w'), Buffer.alloc(24), Buffer.from('message')]);

    expect(readCopyFrame(frame)).toEqual({ kind: 'data', messageAt: 25 });
  });

  it('reads a keepalive and whether the server waits for an answer', () => {
    expect(readCopyFrame(KEEPALIVE)).toEqual({ kind: 'keepalive', endLsn: 0x175b3a8n, isReplyRequested: true });
    const calm = Buffer.concat([KEEPALIVE.subarray(0, 17), Buffer.alloc(1)]);
    expect(readCopyFrame(calm)).toMatchObject({ isReplyRequested: false });
  });

  it('refuses every truncation, what is too long, and unknown frames', () => {
    const wrong = [
      Buffer.alloc(0),
      Buffer.from('x'),
      Buffer.concat([KEEPALIVE, Buffer.from('k')]),
      ...Array.from({ length: KEEPALIVE.length }, (_, length) => KEEPALIVE.subarray(0, length)),
      ...Array.from({ length: 24 }, (_, length) =>
        Buffer.concat([Buffer.from('w'), Buffer.alloc(length)]).subarray(0, 24),
      ),
    ];
    for (const frame of wrong) {
      expect(() => readCopyFrame(frame)).toThrow(expect.objectContaining({ code: 'stream_malformed' }));
    }
  });
});

describe('standbyStatus', () => {
  it('is a CopyData that says the confirmed LSN as flushed and applied', () => {
    const sentAtMs = Date.UTC(2000, 0, 1, 0, 0, 1);
    const status = standbyStatus({ writeLsn: 0x1_0000_0002n, confirmedLsn: 0xabcn, sentAtMs, isReplyRequested: true });

    expect(status.toString('hex')).toBe(
      [
        '64',
        '00000026',
        '72',
        '0000000100000002',
        '0000000000000abc',
        '0000000000000abc',
        '00000000000f4240',
        '01',
      ].join(''),
    );
  });
});
