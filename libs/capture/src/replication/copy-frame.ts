import { ByteCursor } from './byte-cursor.js';

/** A frame of the stream: a message of pgoutput, or the server's sign of life. */
export type CopyFrame =
  | { readonly kind: 'data'; /** Where in the frame the message begins. */ readonly messageAt: number }
  | {
      readonly kind: 'keepalive';
      /** Everything that the publication has below it was sent before. */
      readonly endLsn: bigint;
      /** The server ends the connection when it gets no answer. */
      readonly isReplyRequested: boolean;
    };

const XLOG_DATA = 'w'.charCodeAt(0);
const KEEPALIVE = 'k'.charCodeAt(0);
const DATA_HEADER_BYTES = 25;
const DATA_FRAME: CopyFrame = { kind: 'data', messageAt: DATA_HEADER_BYTES };

/** Reads what one CopyData of the server holds. Throws `CaptureError` `stream_malformed`. */
export function readCopyFrame(frame: Buffer): CopyFrame {
  const cursor = new ByteCursor(frame, 0);
  const type = cursor.uint8();
  if (type === XLOG_DATA) {
    cursor.step(DATA_HEADER_BYTES - 1);
    return DATA_FRAME;
  }
  if (type !== KEEPALIVE) {
    throw cursor.wrong('is neither data nor a keepalive');
  }
  const endLsn = cursor.lsn();
  cursor.timeMs();
  const isReplyRequested = cursor.uint8() === 1;
  cursor.end();
  return { kind: 'keepalive', endLsn, isReplyRequested };
}

/** What a client tells the server of its progress. */
export interface StandbyStatus {
  /** Received: of no consequence for the slot. */
  readonly writeLsn: bigint;
  /** Confirmed, sent as flushed and applied: the server forgets what lies below. 0 tells nothing. */
  readonly confirmedLsn: bigint;
  readonly sentAtMs: number;
  /** Asks for a keepalive. */
  readonly isReplyRequested: boolean;
}

const COPY_DATA = 'd';
const STATUS_UPDATE = 'r';
const STATUS_BYTES = 34;
const EPOCH_2000_MS = 946_684_800_000;

/** The Standby status update as one CopyData, ready for the socket. */
export function standbyStatus(status: StandbyStatus): Buffer {
  const message = Buffer.alloc(5 + STATUS_BYTES);
  message.write(COPY_DATA, 0, 'latin1');
  message.writeUInt32BE(4 + STATUS_BYTES, 1);
  message.write(STATUS_UPDATE, 5, 'latin1');
  message.writeBigUInt64BE(status.writeLsn, 6);
  message.writeBigUInt64BE(status.confirmedLsn, 14);
  message.writeBigUInt64BE(status.confirmedLsn, 22);
  message.writeBigInt64BE(BigInt(Math.round(status.sentAtMs) - EPOCH_2000_MS) * 1_000n, 30);
  message.writeUInt8(status.isReplyRequested ? 1 : 0, 38);
  return message;
}
