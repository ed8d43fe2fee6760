import { Logger } from '@nestjs/common';
import { type CaptureChange, type CaptureObserver } from '@millrace/capture';
import { type ForkRepaired, type MembersChange, type RouteState, type StateChange } from '@millrace/relay';

type Line = Readonly<Record<string, string>>;

/**
 * One line for each change of a route's state, of where it reads and what its slot is like, and of who shares a source's
 * routes; nothing per message.
 */
export class RouteLog implements CaptureObserver {
  private readonly logger = new Logger(RouteLog.name);

  membersChanged({ source, members }: MembersChange): void {
    this.logger.log({ source, relays: members.join(' ') }, 'relays changed');
  }

  captureChanged({ source, route, reading, slot, message, isWarning }: CaptureChange): void {
    const line = { source, route, reading, ...(slot !== null && { slot }), detail: message };
    if (isWarning) {
      this.logger.warn(line, 'capture changed');
    } else {
      this.logger.log(line, 'capture changed');
    }
  }

  /** After a fail-over, restore or move. What the database lost is an error: somebody should know. */
  forkRepaired({ route, source, report }: ForkRepaired): void {
    const { found, moved, lost, incident } = report;
    const line = { route, source, found: String(found), moved: String(moved), lost: String(lost) };
    if (incident === null) {
      this.logger.warn(line, 'fork repaired');
    } else {
      this.logger.error(
        { ...line, incident, kind: 'events_lost_by_database' },
        'fork repaired, events lost by database',
      );
    }
  }

  stateChanged({ route, from, to }: StateChange): void {
    const line = { route, from: from.kind, to: to.kind, ...detailsOf(to) };
    switch (to.kind) {
      case 'stopped':
        this.logger.error(line, 'route stopped');
        return;
      case 'stalled':
        this.logger.warn(line, 'route stalled');
        return;
      case 'starting':
      case 'standby':
      case 'running':
      case 'paused':
      case 'ended':
        this.logger.log(line, 'route changed');
    }
  }
}

function detailsOf(state: RouteState): Line {
  switch (state.kind) {
    case 'stalled':
    case 'stopped':
      return { side: state.problem.side, code: state.problem.code, problem: state.problem.message };
    case 'running':
    case 'paused':
      return { epoch: String(state.epoch) };
    case 'standby':
      return { heldBy: state.heldBy };
    case 'starting':
    case 'ended':
      return {};
  }
}
