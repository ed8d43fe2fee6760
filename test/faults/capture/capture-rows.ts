import { type CaptureRow } from './capture-row.js';
import { WALSENDER_ENDED } from './rows/walsender-ended.js';

/** The rows of the matrix that are about capture, in the order in which they run. */
export const CAPTURE_ROWS: readonly CaptureRow[] = [WALSENDER_ENDED];
