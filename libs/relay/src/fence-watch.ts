import { type CapturePort } from '@millrace/capture';
import { type Position } from '@millrace/events';
import { type RelayClock } from './relay-clock.js';

/** Sees since when the source of a claim has had more than a fence lets through. */
export class FenceWatch {
  private sinceMs: number | null = null;

  /** `fence`: `null` without one. */
  constructor(
    private readonly clock: RelayClock,
    private readonly capture: CapturePort,
    private readonly fence: Position | null,
  ) {}

  /** 0: it has not, as far as has been seen. */
  get heldBackMs(): number {
    return this.sinceMs === null ? 0 : this.clock.monotonicMs() - this.sinceMs;
  }

  look(): void {
    const isHeldBack = this.fence !== null && this.capture.status().lastPosition > this.fence;
    this.sinceMs ??= isHeldBack ? this.clock.monotonicMs() : null;
  }
}
