import { describe, expect, it } from '@jest/globals';
import { StreamProgress } from './stream-progress.js';

describe('the confirmed LSN', () => {
  it('begins where the stream begins and never goes back', () => {
    const progress = new StreamProgress(100n);
    progress.confirm(90n);
    expect(progress.confirmedLsn).toBe(100n);

    progress.confirm(120n);
    progress.confirm(110n);
    progress.passed(105n);

    expect(progress.confirmedLsn).toBe(120n);
  });

  it('follows the marks of the stream while nothing is outstanding', () => {
    const progress = new StreamProgress(100n);

    progress.passed(150n);
    expect(progress.confirmedLsn).toBe(150n);

    progress.transactionBegan(155n);
    progress.emptyTransactionCame(160n);
    expect(progress.confirmedLsn).toBe(160n);
  });

  it('stands still while a transaction is handed out, and follows the marks once it is confirmed', () => {
    const progress = new StreamProgress(100n);
    progress.transactionBegan(105n);
    progress.transactionCame(110n);
    progress.passed(200n);
    expect(progress.confirmedLsn).toBe(100n);

    progress.confirm(109n);
    expect(progress.confirmedLsn).toBe(109n);

    progress.confirm(110n);
    expect(progress.confirmedLsn).toBe(200n);
  });

  it('does not follow a mark from before a transaction that came later', () => {
    const progress = new StreamProgress(100n);
    progress.transactionCame(110n);
    progress.passed(120n);
    progress.transactionCame(130n);

    progress.confirm(110n);

    expect(progress.confirmedLsn).toBe(110n);
  });

  it('does not believe a mark between the messages of a transaction', () => {
    const progress = new StreamProgress(100n);
    progress.transactionBegan(500n);

    progress.passed(600n);

    expect(progress.confirmedLsn).toBe(100n);
    expect(progress.receivedLsn).toBe(100n);
  });

  it('goes beyond what was received when the owner has settled it by the table', () => {
    const progress = new StreamProgress(100n);

    progress.confirm(1_000n);

    expect(progress.confirmedLsn).toBe(1_000n);
    expect(progress.receivedLsn).toBe(100n);
  });
});

describe('the received LSN and that of the server', () => {
  it('grow with commits and marks; the server is ahead while it sends a transaction', () => {
    const progress = new StreamProgress(100n);
    progress.transactionBegan(190n);
    expect([progress.receivedLsn, progress.serverLsn]).toEqual([100n, 190n]);

    progress.transactionCame(200n);
    expect([progress.receivedLsn, progress.serverLsn]).toEqual([200n, 200n]);

    progress.passed(150n);
    expect([progress.receivedLsn, progress.serverLsn]).toEqual([200n, 200n]);
  });
});
