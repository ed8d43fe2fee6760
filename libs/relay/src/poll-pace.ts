import { type CapturedPage } from '@millrace/capture';

/**
 * How long to wait before the next poll: not at all while pages are full, `minMs` after rows came (more of them make one
 * batch), then doubling up to `maxMs` while nothing comes. Nor after a page that has itself waited in vain: a second wait
 * would only be late.
 */
export class PollPace {
  private waitMs: number;

  constructor(
    private readonly minMs: number,
    private readonly maxMs: number,
  ) {
    this.waitMs = minMs;
  }

  /** Milliseconds to wait after `page`. */
  after(page: Pick<CapturedPage, 'isFull' | 'rowCount' | 'hasWaited'>): number {
    const hasWaitedInVain = page.hasWaited && page.rowCount === 0;
    if (page.isFull || hasWaitedInVain) {
      this.waitMs = this.minMs;
      return 0;
    }
    if (page.rowCount > 0) {
      this.waitMs = this.minMs;
      return this.minMs;
    }
    const now = this.waitMs;
    this.waitMs = Math.min(this.maxMs, this.waitMs * 2);
    return now;
  }
}
