/** What is due now: nothing, a report, a report that asks for an answer, or to give the server up. */
export type FeedbackDue = 'nothing' | 'report' | 'question' | 'silent';

const REPORT_INTERVAL_MAX_MS = 10_000;
/** Looks per interval, so that a report is never much late. */
const LOOKS_PER_INTERVAL = 4;
const LOOK_MIN_MS = 10;
const LOOK_MAX_MS = 1_000;

/**
 * When to report to the server, and when to give it up. A server with nothing to say is silent, so the reports ask it
 * for an answer while nothing is heard. Times are those of a monotonic clock.
 */
export class FeedbackPace {
  /** Time between two looks. */
  readonly lookMs: number;
  private readonly intervalMs: number;
  private readonly silenceMs: number;
  private heardAtMs: number;
  private sentAtMs: number;
  private lookedAtMs: number;

  /** `serverTimeoutMs`: after what time without a report the server gives up (0: never). */
  constructor(serverTimeoutMs: number, silenceMs: number, nowMs: number) {
    const serverThirdMs = serverTimeoutMs === 0 ? REPORT_INTERVAL_MAX_MS : serverTimeoutMs / 3;
    this.intervalMs = Math.min(REPORT_INTERVAL_MAX_MS, serverThirdMs, silenceMs / 3);
    this.lookMs = Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, this.intervalMs / LOOKS_PER_INTERVAL));
    this.silenceMs = silenceMs;
    this.heardAtMs = nowMs;
    this.sentAtMs = nowMs;
    this.lookedAtMs = nowMs;
  }

  /** Something came from the server, or we were not listening. */
  heard(nowMs: number): void {
    this.heardAtMs = nowMs;
  }

  sent(nowMs: number): void {
    this.sentAtMs = nowMs;
  }

  due(nowMs: number): FeedbackDue {
    // who stood still has not listened: what the server sent meanwhile is yet to be read
    if (nowMs - this.lookedAtMs > this.intervalMs + this.lookMs) {
      this.heardAtMs = nowMs;
    }
    this.lookedAtMs = nowMs;
    if (nowMs - this.heardAtMs > this.silenceMs) {
      return 'silent';
    }
    if (nowMs - this.sentAtMs < this.intervalMs) {
      return 'nothing';
    }
    return nowMs - this.heardAtMs < this.intervalMs ? 'report' : 'question';
  }
}
