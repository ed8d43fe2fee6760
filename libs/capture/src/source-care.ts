import { type CaptureClock } from './capture-clock.js';
import { type OutboxReaderPort, type SequenceReading } from './outbox-reader.js';
import { checkSequence } from './sequence-discipline.js';

const CARE_INTERVAL_MS = 10_000;

/** What a source needs from time to time, whether it is read or not: leaves ahead of its sequence, and a look at it. */
export class SourceCare {
  private underWay: Promise<SequenceReading> | null = null;
  private caredAtMs = Number.NEGATIVE_INFINITY;
  private ahead: number | null = null;

  constructor(
    private readonly reader: OutboxReaderPort,
    private readonly clock: CaptureClock,
  ) {}

  /** Leaves that lay ahead of the sequence when it was last looked at. */
  get leavesAhead(): number | null {
    return this.ahead;
  }

  /** Every ten seconds the reading of the sequence, otherwise `null`; who comes while it is under way shares it. */
  async whenDue(): Promise<SequenceReading | null> {
    if (this.underWay === null && this.clock.nowMs() - this.caredAtMs < CARE_INTERVAL_MS) {
      return null;
    }
    this.underWay ??= this.care().finally(() => {
      this.underWay = null;
    });
    return this.underWay;
  }

  private async care(): Promise<SequenceReading> {
    const nowMs = this.clock.nowMs();
    // without a leaf rows land in the default partition and are read from there: the count tells, the next care tries
    await this.reader.ensureLeaves().catch(() => undefined);
    const reading = await this.reader.sequence();
    this.ahead = reading.leavesAhead;
    checkSequence(reading);
    this.caredAtMs = nowMs;
    return reading;
  }
}
