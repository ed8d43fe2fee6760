import { type RouteHolds } from './held/route-holds.js';
import { type LaneSender } from './lane-sender.js';
import { type LedgerCalls } from './ledger-calls.js';
import { type PageReader } from './page-reader.js';
import { type PageWindow } from './page-window.js';
import { sinkProblemOf, sinkSilent, sourceProblemOf, sourceSilent } from './problem.js';
import { type PumpParts } from './pump-parts.js';
import { type RouteProblem } from './route-state.js';
import { type TakeOver } from './take-over/take-over.js';

/** What can be in the way of a claim. */
export interface HinderedParts extends Pick<PumpParts, 'gate' | 'route'> {
  readonly calls: Pick<LedgerCalls, 'waitingMs'>;
  readonly reader: Pick<PageReader, 'pollMs' | 'problem'>;
  readonly window: Pick<PageWindow, 'eventsHeld' | 'bytes' | 'isStuck'>;
  readonly sender: Pick<LaneSender, 'lanesBehind' | 'problem'>;
  readonly takeOver: Pick<TakeOver, 'problem'>;
  readonly holds: Pick<RouteHolds, 'problem'>;
  readonly isPaused: boolean;
}

/** Why a claim does not do all of its work: what holds up most of it; `null`: it does. */
export function pumpProblem(parts: HinderedParts): RouteProblem | null {
  const { gate, route, calls, reader, sender, takeOver, holds, isPaused } = parts;
  const { stalledAfterMs } = route.tuning;
  if (Math.max(calls.waitingMs, reader.pollMs) > stalledAfterMs) {
    return sourceProblemOf(sourceSilent());
  }
  const silence = gate.oldestMs(route.name) > stalledAfterMs ? sinkProblemOf(sinkSilent()) : null;
  if (isPaused) {
    return silence;
  }
  return backlogProblem(parts) ?? silence ?? sender.problem ?? takeOver.problem ?? reader.problem ?? holds.problem;
}

/** Lanes that are behind have used up what may be in flight, so that all others wait with them; `null`: they have not. */
function backlogProblem({ window, sender }: Pick<HinderedParts, 'window' | 'sender'>): RouteProblem | null {
  if (!window.isStuck) {
    return null;
  }
  const message =
    `${sender.lanesBehind} lanes are behind, and ${window.eventsHeld} events with ${window.bytes} bytes wait to be settled, ` +
    'which is the most. Nothing more is read until one of these lanes goes on, so the others wait too. Nothing is lost.';
  return {
    side: 'relay',
    code: 'lanes_behind',
    message: sender.problem === null ? message : `${message} ${sender.problem.message}`,
  };
}
