import { type ProblemKind } from '../delivery-check.js';

/**
 * What a row can find beside what the topics show: `late`: not published, or not as it should be, in time; `told`: neither
 * log, metrics nor status said it; `bounded`: more memory, disk or time than promised; `repeated`: an event came
 * twice where it may not; `unmet`: the fault was not there, so that the row shows nothing; `other`: an error of the row
 * itself.
 */
export type FindingKind = ProblemKind | 'late' | 'told' | 'bounded' | 'repeated' | 'unmet' | 'other';

/** A promise that was broken, with enough to find where. */
export interface Finding {
  readonly kind: FindingKind;
  readonly text: string;
}

/** Thrown by a row that this machine turns out not to be able to do. */
export class RowSkipped extends Error {}
