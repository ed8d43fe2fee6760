import { sinkProblemOf, sinkSilent, sourceProblemOf, sourceSilent } from './problem.js';
import { type RouteProblem } from './route-state.js';

/** For how long the source and the sink have had calls of a claim without an answer. */
export interface Silences {
  readonly sourceMs: number;
  readonly sinkMs: number;
}

/** What silence stands for; `null` while both answer in time. */
export function silenceProblem({ sourceMs, sinkMs }: Silences, stalledAfterMs: number): RouteProblem | null {
  if (sourceMs > stalledAfterMs) {
    return sourceProblemOf(sourceSilent());
  }
  return sinkMs > stalledAfterMs ? sinkProblemOf(sinkSilent()) : null;
}
