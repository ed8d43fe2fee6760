import { type ReadBackRequest, type ReadBackResult } from '../sink-port.js';
import { type Delivery } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { type DeliveryDatabase, type DeliveryRow } from './delivery-database.js';
import { bigintOf, deliveryOf, numberOf, textOf } from './delivery-rows.js';
import { PARTITIONS_SQL, READ_SQL } from './delivery.sql.js';

const RECORDS_MAX = 1_000;
const BYTES_MAX = 4 * 1_024 * 1_024;

/** Contract: `SinkPort.readBack`. */
export async function readDeliveriesBack(
  database: Pick<DeliveryDatabase, 'rows'>,
  { isWanted, sinceMs, signal }: ReadBackRequest,
  take: (records: readonly Delivery[]) => Promise<void>,
): Promise<ReadBackResult> {
  const wanted = (await database.rows(PARTITIONS_SQL, [])).filter((row) => isWanted(textOf(row, 'topic')));
  for (const row of wanted) {
    await readPartition({ database, row, sinceMs, signal }, take);
  }
  // only now: what was removed while others were read is missing as well
  const after = (await database.rows(PARTITIONS_SQL, [])).filter((row) => isWanted(textOf(row, 'topic')));
  const cut = after.find((row) => row['removed_ms'] !== null && Number(textOf(row, 'removed_ms')) >= sinceMs);
  if (cut === undefined) {
    return { kind: 'complete' };
  }
  const topic = textOf(cut, 'topic');
  const reason = `Records that topic ${topic} took in the time in question were read by all consumers and removed since.`;
  return { kind: 'incomplete', reason };
}

interface Reading {
  readonly database: Pick<DeliveryDatabase, 'rows'>;
  /** Of `PARTITIONS_SQL`. */
  readonly row: DeliveryRow;
  readonly sinceMs: number;
  readonly signal: AbortSignal;
}

async function readPartition(
  { database, row, sinceMs, signal }: Reading,
  take: (records: readonly Delivery[]) => Promise<void>,
): Promise<void> {
  const place = { topic: textOf(row, 'topic'), partition: numberOf(row, 'partition') };
  const end = bigintOf(row, 'next_offset');
  let at = bigintOf(row, 'first_offset');
  while (at < end) {
    if (signal.aborted) {
      throw new SinkError('unavailable', 'The reading back of the topics was given up.');
    }
    const values = [[numberOf(row, 'partition_id')], [String(at)], RECORDS_MAX, BYTES_MAX];
    const rows = await database.rows(READ_SQL, values, 'millrace_read');
    const records = rows.flatMap((one) => deliveryOf(one, place) ?? []);
    const last = records.at(-1);
    if (last === undefined) {
      return;
    }
    at = last.offset + 1n;
    const since = records.filter(({ timestampMs, offset }) => timestampMs >= sinceMs && offset < end);
    if (since.length > 0) {
      await take(since);
    }
  }
}
