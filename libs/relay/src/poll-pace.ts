import { type CapturedPage } from '@millrace/capture';

/**
 * How long to wait before the next poll: not at all while pages are full, `minMs` after rows came, then doubling up
 * to `maxMs` while nothing comes.
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
  after(page: Pick<CapturedPage, 'isFull' | 'rowCount'>): number {
    if (page.isFull) {
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
