import { type CaptureErrorCode } from '@millrace/capture';
import { type Epoch } from '@millrace/events';
import { type RelayErrorCode } from './relay.errors.js';
import { type SendErrorCode } from './send-policy.js';

/** What keeps a route from working: a code for machines, a sentence for the operator. */
export type RouteProblem =
  | { readonly side: 'source'; readonly code: CaptureErrorCode; readonly message: string }
  | { readonly side: 'sink'; readonly code: SendErrorCode; readonly message: string }
  | { readonly side: 'relay'; readonly code: RelayErrorCode; readonly message: string };

/**
 * What a route is doing. `sinceMs` is the wall clock when it began to.
 *
 * `starting`: on its way to the lease and the first read. `standby`: another relay has it, to run it or, stopped, to wait
 * for a person; `heldBy` is empty while it is free and left to another. `running`: publishing, or ready to.
 * `stalled`: should publish and cannot; heals by itself. `paused`: an operator said so; the lease is kept.
 * `stopped`: cannot go on until a person resumes it. `ended`: told to stop, or never started.
 */
export type RouteState =
  | { readonly kind: 'starting'; readonly sinceMs: number }
  | { readonly kind: 'standby'; readonly sinceMs: number; readonly heldBy: string }
  | { readonly kind: 'running'; readonly sinceMs: number; readonly epoch: Epoch }
  | { readonly kind: 'stalled'; readonly sinceMs: number; readonly problem: RouteProblem }
  | { readonly kind: 'paused'; readonly sinceMs: number; readonly epoch: Epoch }
  | { readonly kind: 'stopped'; readonly sinceMs: number; readonly problem: RouteProblem }
  | { readonly kind: 'ended'; readonly sinceMs: number };

/** What can happen to a route. */
export type RouteEvent =
  | { readonly kind: 'started' }
  | { readonly kind: 'held'; readonly by: string }
  | { readonly kind: 'working'; readonly epoch: Epoch }
  | { readonly kind: 'paused'; readonly epoch: Epoch }
  | { readonly kind: 'hindered'; readonly problem: RouteProblem }
  | { readonly kind: 'refused'; readonly problem: RouteProblem }
  | { readonly kind: 'ended' };

/** The state after `event`; the same object when nothing changes. `stopped` and `ended` are left by `started` only. */
export function nextRouteState(state: RouteState, event: RouteEvent, nowMs: number): RouteState {
  if (isFinal(state) && event.kind !== 'started' && event.kind !== 'ended') {
    return state;
  }
  const next = stateAfter(event, nowMs);
  return meaningOf(state) === meaningOf(next) ? state : next;
}

function isFinal(state: RouteState): boolean {
  return state.kind === 'stopped' || state.kind === 'ended';
}

function stateAfter(event: RouteEvent, sinceMs: number): RouteState {
  switch (event.kind) {
    case 'started':
      return { kind: 'starting', sinceMs };
    case 'held':
      return { kind: 'standby', sinceMs, heldBy: event.by };
    case 'working':
      return { kind: 'running', sinceMs, epoch: event.epoch };
    case 'paused':
      return { kind: 'paused', sinceMs, epoch: event.epoch };
    case 'hindered':
      return { kind: 'stalled', sinceMs, problem: event.problem };
    case 'refused':
      return { kind: 'stopped', sinceMs, problem: event.problem };
    case 'ended':
      return { kind: 'ended', sinceMs };
  }
}

/** What a state says, `sinceMs` and wording apart. */
function meaningOf(state: RouteState): string {
  switch (state.kind) {
    case 'starting':
    case 'ended':
      return state.kind;
    case 'standby':
      return `standby ${state.heldBy}`;
    case 'running':
    case 'paused':
      return `${state.kind} ${String(state.epoch)}`;
    case 'stalled':
    case 'stopped':
      return `${state.kind} ${state.problem.side} ${state.problem.code}`;
  }
}
