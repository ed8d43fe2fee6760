import { Logger } from '@nestjs/common';
import { type BreakerChange, type EventRefused, type RelayObserver } from '@millrace/relay';

const QUIET_MS = 10_000;

/** What is kept of a route between two lines. */
interface Told {
  atMs: number;
  more: number;
}

/** One line for an event that is refused for good, at most one in ten seconds for each route; and when a sink goes away or comes back. */
export class HeldLog implements RelayObserver {
  private readonly logger = new Logger(HeldLog.name);
  private readonly told = new Map<string, Told>();

  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  eventRefused({ route, position, id, refusal, policy, isAgain }: EventRefused): void {
    const nowMs = this.nowMs();
    const last = this.told.get(route);
    if (last !== undefined && nowMs - last.atMs < QUIET_MS) {
      last.more += 1;
      return;
    }
    this.told.set(route, { atMs: nowMs, more: 0 });
    const { code, reason } = refusal;
    const unsaid = last === undefined || last.more === 0 ? {} : { unsaid: String(last.more) };
    const line = { route, position: String(position), id, code, problem: reason, policy, ...unsaid };
    this.logger.warn(line, isAgain ? 'held event refused again' : 'event refused');
  }

  breakerChanged({ sink, isOpen }: BreakerChange): void {
    if (isOpen) {
      this.logger.warn({ sink }, 'sink away');
    } else {
      this.logger.log({ sink }, 'sink back');
    }
  }
}
