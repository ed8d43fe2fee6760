import { type SinkRecord } from './sink-port.js';
import { SinkError } from './transport.errors.js';

/** Lengths, delta and attributes of a record, at their largest. */
const RECORD_OVERHEAD_BYTES = 36;
/** Two lengths, at their largest. */
const HEADER_OVERHEAD_BYTES = 10;
/** Of the batch around the records. */
const BATCH_OVERHEAD_BYTES = 64;

/** What a sink accepts at once. */
export interface BatchLimits {
  readonly recordBytesMax: number;
  readonly batchRecordsMax: number;
  readonly batchBytesMax: number;
}

/**
 * Upper bound of what a record takes on the wire, uncompressed. A batch takes the sum of its records: cut batches with
 * this, and no batch is refused for its size that the brokers would have taken.
 */
export function recordBytes({ key, value, headers }: SinkRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + key.length + value.length;
  for (const header of headers) {
    bytes += HEADER_OVERHEAD_BYTES + header[0].length + header[1].length;
  }
  return bytes;
}

/** The share of `message.max.bytes` that is left for records. */
export function recordBytesMaxOf(messageBytesMax: number): number {
  return messageBytesMax - BATCH_OVERHEAD_BYTES;
}

/**
 * Refuses what no client may see: anything but Buffers (a client stores a number as an empty record, and acknowledges
 * it), and what is larger than the limits. `raise` names what to raise for a larger record. Throws `SinkError`
 * `record_invalid` or `record_too_large`.
 */
export function assertBatch(laneId: string, records: readonly SinkRecord[], limits: BatchLimits, raise: string): void {
  let total = 0;
  for (const [index, record] of records.entries()) {
    assertBuffers(laneId, index, record);
    const bytes = recordBytes(record);
    if (bytes > limits.recordBytesMax) {
      throw new SinkError(
        'record_too_large',
        `Record ${index} of ${records.length} for ${laneId} takes ${bytes} bytes, and at most ${limits.recordBytesMax} fit: raise ${raise}, or make the event smaller.`,
      );
    }
    total += bytes;
  }
  if (records.length > limits.batchRecordsMax || total > limits.batchBytesMax) {
    throw new SinkError(
      'record_too_large',
      `A batch of ${records.length} records and ${total} bytes for ${laneId} is over the sink's limits of ${limits.batchRecordsMax} records and ${limits.batchBytesMax} bytes: send smaller batches.`,
    );
  }
}

function assertBuffers(laneId: string, index: number, { key, value, headers }: SinkRecord): void {
  assertBuffer(key, 'key', laneId, index);
  assertBuffer(value, 'value', laneId, index);
  for (const header of headers) {
    assertBuffer(header[0], 'header name', laneId, index);
    assertBuffer(header[1], 'header value', laneId, index);
  }
}

function assertBuffer(field: unknown, name: string, laneId: string, index: number): void {
  if (!Buffer.isBuffer(field)) {
    const kind = field === null ? 'null' : typeof field;
    throw new SinkError('record_invalid', `The ${name} of record ${index} for ${laneId} is not a Buffer but ${kind}.`);
  }
}
