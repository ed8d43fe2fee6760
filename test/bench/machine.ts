import { availableParallelism, cpus, totalmem } from 'node:os';

/** One line about the machine, for the head of a result. */
export function machineText(): string {
  const memoryGiB = Math.round(totalmem() / 1_024 ** 3);
  return `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${memoryGiB} GiB, Node ${process.versions.node}`;
}
