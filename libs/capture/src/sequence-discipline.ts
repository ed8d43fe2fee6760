import { type Position } from '@millrace/events';
import { CaptureError } from './capture.errors.js';
import { type SequenceReading } from './outbox-reader.js';

/**
 * Refuses a position sequence under which rows could be passed for ever: one that hands out numbers in blocks, in
 * other steps or in a circle.
 */
export function checkSequence(reading: SequenceReading): void {
  if (reading.cache !== 1n || reading.increment !== 1n || reading.isCycling) {
    throw new CaptureError(
      'sequence_undisciplined',
      `Sequence millrace.position has cache ${String(reading.cache)}, increment ${String(reading.increment)}, ` +
        `${reading.isCycling ? 'cycle' : 'no cycle'}; events could be lost. ` +
        'Run: alter sequence millrace.position cache 1 increment 1 no cycle; then resume the route.',
    );
  }
}

/** Refuses a sequence that stands below what the ledger has seen: its next numbers would never be read. */
export function checkSequencePlace(lastPosition: Position, high: Position): void {
  if (lastPosition < high) {
    throw new CaptureError(
      'sequence_behind',
      `Sequence millrace.position stands at ${String(lastPosition)}, below position ${String(high)} that this route ` +
        'has already seen (a restore, setval, or a row with a position of its own); new events would never be read. ' +
        `Run: select setval('millrace.position', ${String(high)}); then resume the route.`,
    );
  }
}
