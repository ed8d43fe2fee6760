import { type AppliedProblem, type AppliedProblemKind } from './applied-check.js';
import { type RowWorld } from './row-world.js';

/** A rule that a natural reading would allow, put in on purpose: the row must find it. */
export interface WrongRule {
  /** See app/wrong-rules.ts; those that a row puts in itself are named there, too. */
  readonly name: string;
  /** What the rule says. */
  readonly text: string;
  /** How it must show: one of these at least. */
  readonly expected: readonly AppliedProblemKind[];
}

/** A row of the fault matrix. */
export interface FaultRow {
  readonly number: number;
  readonly title: string;
  readonly wrongRules: readonly WrongRule[];
  /** Does the fault and returns what was found; nothing when every promise was kept. */
  run(world: RowWorld): Promise<readonly AppliedProblem[]>;
}
