import { type ArchivedLeaf, type RetentionObserver } from '@millrace/capture';

/** Why a run did not get to its end. */
export interface RetentionProblem {
  readonly code: string;
  readonly message: string;
}

/** What the retention of all sources tells while it works. Called synchronously: be quick, do not throw. */
export interface RetentionListener {
  /** What a keeper tells. */
  readonly observer: RetentionObserver;
  leafArchived(leaf: ArchivedLeaf): void;
  /** A run ended: `ok`, or the code of its problem. */
  ran(run: { readonly source: string; readonly code: string }): void;
  /** Once when runs begin to fail, or to fail for another reason, and once (`null`) when they do no more. */
  problemChanged(change: ProblemChange): void;
}

/** `error` is what was thrown. */
export interface ProblemChange {
  readonly source: string;
  readonly problem: RetentionProblem | null;
  readonly error: unknown;
}
