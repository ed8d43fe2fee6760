import {
  type ReadBackRequest,
  type ReadBackResult,
  type ReadTailsRequest,
  type TailEnd,
  type TailStart,
} from '../sink-port.js';
import { type Delivery } from '../subscription-port.js';
import { SinkError } from '../transport.errors.js';
import { type DeliveryDatabase, type DeliveryRow } from './delivery-database.js';
import { bigintOf, deliveryOf, numberOf, textOf } from './delivery-rows.js';
import { PARTITIONS_SQL, READ_SQL } from './delivery.sql.js';
import { toSinkError } from './postgres-errors.js';

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
    const span = { at: bigintOf(row, 'first_offset'), end: bigintOf(row, 'next_offset') };
    await readPartition({ database, row, sinceMs, signal, ...span }, take);
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

/** Contract: `SinkPort.readTails`. What is missing there was read by all consumers, and removed. */
export async function readDeliveryTails(
  database: Pick<DeliveryDatabase, 'rows'>,
  request: ReadTailsRequest,
): Promise<void> {
  const partitions = await database.rows(PARTITIONS_SQL, []);
  for (const start of request.lanes) {
    const { topic, partition } = start;
    const row = partitions.find((one) => one['topic'] === topic && one['partition'] === partition);
    try {
      request.ended(await readTail({ database, row, start }, request));
    } catch (error) {
      request.ended({ kind: 'failed', topic, partition, error: toSinkError(error) });
    }
  }
}

interface Tail {
  readonly database: Pick<DeliveryDatabase, 'rows'>;
  /** Of `PARTITIONS_SQL`; undefined: there is no such partition. */
  readonly row: DeliveryRow | undefined;
  readonly start: TailStart;
}

async function readTail({ database, row, start }: Tail, { signal, take }: ReadTailsRequest): Promise<TailEnd> {
  const { topic, partition, from } = start;
  if (row === undefined) {
    return { kind: 'replaced', topic, partition, topicId: null };
  }
  const lane = { topic, partition, topicId: textOf(row, 'topic_id') };
  const end = bigintOf(row, 'next_offset');
  if (from === null) {
    return { kind: 'read', ...lane, end, records: 0, unreadable: 0 };
  }
  if (from.topicId !== null && from.topicId !== lane.topicId) {
    return { kind: 'replaced', ...lane };
  }
  if (end < from.offset) {
    return { kind: 'cut', ...lane, end };
  }
  const span = { row, at: from.offset, end: smaller(end, from.to ?? end), sinceMs: from.sinceMs };
  const records = await readPartition({ database, signal, ...span }, (found) => {
    take(found);
    return Promise.resolve();
  });
  return { kind: 'read', ...lane, end, records, unreadable: 0 };
}

interface Reading {
  readonly database: Pick<DeliveryDatabase, 'rows'>;
  /** Of `PARTITIONS_SQL`. */
  readonly row: DeliveryRow;
  /** The first offset that is wanted, and the first that is not any more. */
  readonly at: bigint;
  readonly end: bigint;
  readonly sinceMs: number;
  readonly signal: AbortSignal;
}

/** Returns how many records were handed on. */
async function readPartition(
  { database, row, at, end, sinceMs, signal }: Reading,
  take: (records: readonly Delivery[]) => Promise<void>,
): Promise<number> {
  const place = { topic: textOf(row, 'topic'), partition: numberOf(row, 'partition') };
  let handedOn = 0;
  let next = at;
  while (next < end) {
    if (signal.aborted) {
      throw new SinkError('unavailable', 'The reading back of the topics was given up.');
    }
    const values = [[numberOf(row, 'partition_id')], [String(next)], RECORDS_MAX, BYTES_MAX];
    const rows = await database.rows(READ_SQL, values, 'millrace_read');
    const records = rows.flatMap((one) => deliveryOf(one, place) ?? []);
    const last = records.at(-1);
    if (last === undefined) {
      break;
    }
    next = last.offset + 1n;
    const wanted = records.filter(({ timestampMs, offset }) => timestampMs >= sinceMs && offset < end);
    handedOn += wanted.length;
    if (wanted.length > 0) {
      await take(wanted);
    }
  }
  return handedOn;
}

function smaller(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
