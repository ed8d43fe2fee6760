import { type LeafStatus } from '@millrace/capture';
import { type LastRun } from './source-retention.js';

/** The leaves as a run left them: one that was not emptied tells what stood against it. */
export function leavesOf(run: LastRun): LeafStatus[] {
  return run.status.leaves.map((leaf) => withObstacle(leaf, run));
}

/** The default partition in the same way; `null` without rows. */
export function defaultPartitionOf(run: LastRun): LeafStatus | null {
  const { defaultPartition } = run.status;
  return defaultPartition === null ? null : withObstacle(defaultPartition, run);
}

function withObstacle(leaf: LeafStatus, { report }: LastRun): LeafStatus {
  const found = report?.waiting.find(({ lo }) => lo === leaf.lo);
  return found === undefined ? leaf : { ...leaf, state: found.obstacle, route: found.route };
}
