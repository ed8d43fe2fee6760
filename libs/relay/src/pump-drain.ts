import { type PumpEnd } from './pump-parts.js';
import { type RelayClock, type RelayTimer } from './relay-clock.js';

/** What is still to be done of a claim. */
export interface LeftToDo {
  /** Number of the first page that is not settled; `null` when all are. */
  readonly firstPage: number | null;
  readonly sendsInFlight: number;
  /** Nothing new is sent. */
  readonly isPaused: boolean;
}

/** The last part of a claim: what is in flight ends, pages up to a last one are settled, and after a while it is over. */
export class PumpDrain {
  private asked: { readonly through: number; readonly end: PumpEnd } | null = null;
  private timer: RelayTimer | null = null;

  constructor(
    private readonly clock: RelayClock,
    private readonly drainMs: number,
    private readonly timedOut: (end: PumpEnd) => void,
  ) {}

  get isOn(): boolean {
    return this.asked !== null;
  }

  /** False: it has begun, and what is asked for now is no stricter. */
  begin(through: number, end: PumpEnd): boolean {
    const isStricter = this.asked === null || (end.kind === 'refused' && this.asked.end.kind !== 'refused');
    if (isStricter) {
      this.asked = { through, end };
      this.timer ??= this.clock.after(this.drainMs, () => {
        this.timedOut(this.asked?.end ?? end);
      });
    }
    return isStricter;
  }

  /** How the claim ends, once all that was asked for is done; `null` before. */
  endAfter({ firstPage, sendsInFlight, isPaused }: LeftToDo): PumpEnd | null {
    if (this.asked === null || sendsInFlight > 0) {
      return null;
    }
    const isSettled = firstPage === null || firstPage > this.asked.through;
    return isSettled || isPaused ? this.asked.end : null;
  }

  cancel(): void {
    this.timer?.cancel();
  }
}
