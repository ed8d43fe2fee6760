import { parseLsn } from '../lsn.js';
import { type PollRequest, type PollResult } from '../outbox-reader.js';
import { type PgConnection } from '../pg-connection.js';
import { cellReader } from '../required-text.js';
import { type FenceMarks } from './handover-fence.js';
import { FENCE_BOUND_SQL, FENCE_FLUSH_SQL } from './handover-fence.sql.js';

const cell = cellReader('A statement of the fence');

/**
 * Puts up a fence: two statements whose order is what it rests on. `slotLsn` is `confirmed_flush_lsn` of the slot as a
 * keeper in state `ready` shows it, or what the stream has confirmed: read before this call. Throws `CaptureError`.
 */
export async function readFenceMarks(connection: PgConnection, slotLsn: bigint): Promise<FenceMarks> {
  const [flush] = await connection.rows({ text: FENCE_FLUSH_SQL, name: 'millrace_fence_flush' });
  const [bound] = await connection.rows({ text: FENCE_BOUND_SQL, name: 'millrace_fence_bound' });
  return {
    slotLsn,
    flushLsn: parseLsn(cell(flush, 0)),
    bound: BigInt(cell(bound, 0)),
    lastPosition: BigInt(cell(bound, 1)),
  };
}

/** How far a poll looked, for `page-read`: positions above that it would not have returned though they were visible. */
export function pollCoverage(request: PollRequest, result: PollResult): bigint | 'all' {
  if (request.above === null) {
    return 0n; // while there are too many gaps it looks at those alone
  }
  if (result.isFull) {
    return result.rows[result.rows.length - 1]?.position ?? 0n;
  }
  return request.reach === null ? 'all' : request.above + request.reach;
}
