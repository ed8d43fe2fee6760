import { Injectable } from '@nestjs/common';
import { type Readiness, type ReadinessPort } from '@millrace/http';
import { RelayEngine, type RouteState } from '@millrace/relay';

/**
 * Ready while every route does what it should: runs, stands by for another relay, or is paused by an operator. A route
 * that polls because there is no slot that it could read does: only its latency is another, which log and metrics tell. The
 * reasons are codes, without the names of routes: the answer is open to everybody.
 */
@Injectable()
export class RelayReadiness implements ReadinessPort {
  constructor(private readonly engine: RelayEngine) {}

  readiness(): Promise<Readiness> {
    const reasons = this.engine.status().flatMap(({ state }) => reasonOf(state) ?? []);
    return Promise.resolve({ isReady: reasons.length === 0, reasons: [...new Set(reasons)].sort() });
  }
}

function reasonOf(state: RouteState): string | undefined {
  switch (state.kind) {
    case 'running':
    case 'standby':
    case 'paused':
      return undefined;
    case 'starting':
    case 'ended':
      return `route-${state.kind}`;
    case 'stalled':
    case 'stopped':
      return `route-${state.kind}: ${state.problem.side}-${state.problem.code.replaceAll('_', '-')}`;
  }
}
