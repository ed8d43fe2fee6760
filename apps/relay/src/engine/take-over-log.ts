import { Logger } from '@nestjs/common';
import { type LossAccepted, type TailNotRead, type TailsRead, type ZombieRecords } from '@millrace/relay';
import { type TakeOverObserver } from '../metrics/take-over-meters.js';

/** A line for each take-over, and for each lane that is not as it should be. */
export class TakeOverLog implements TakeOverObserver {
  private readonly logger = new Logger(TakeOverLog.name);

  tailsRead({ route, lanes, records, found, notRemembered, durationMs }: TailsRead): void {
    const counts = { lanes: String(lanes), records: String(records), found: String(found) };
    const line = { route, ...counts, milliseconds: String(Math.round(durationMs)) };
    if (notRemembered > 0) {
      this.logger.warn({ ...line, notRemembered: String(notRemembered) }, 'tails read, more than is remembered');
    } else {
      this.logger.log(line, 'tails read');
    }
  }

  tailNotRead({ route, lane, problem }: TailNotRead): void {
    this.logger.warn({ route, lane, code: problem.code, problem: problem.message }, 'tail not read');
  }

  lossAccepted({ route, lane, kind }: LossAccepted): void {
    this.logger.warn({ route, lane, kind }, 'loss accepted');
  }

  zombieRecords({ route, lane, records }: ZombieRecords): void {
    this.logger.warn({ route, lane, records: String(records) }, 'records of an earlier owner came late');
  }
}
