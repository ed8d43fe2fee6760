import { CAPTURE_MODES, formatLsn, type SlotStatus } from '@millrace/capture';
import { type ClaimStatus } from '@millrace/relay';
import { z } from 'zod';
import { SLOT_STATES } from '../../engine/slot-states.js';
import { count, signedNumber } from './view-numbers.js';

const slotNumber = (what: string): z.ZodNullable<z.ZodString> => signedNumber.nullable().describe(what);

const slotView = z
  .object({
    state: z.enum(SLOT_STATES).describe('ready: it can be read; in every other state the table is read'),
    message: z.string().describe('what the state means, what the relay does, what a person has to do, if anything'),
    name: z.string().nullable().describe('null while there is none, as all that follows'),
    retainedBytes: slotNumber('WAL that the server keeps for the slot'),
    safeWalBytes: slotNumber(
      'until the server may give the slot up, below 0 when it may; null without max_slot_wal_keep_size',
    ),
    walStatus: z.string().nullable().describe('reserved, extended, unreserved or lost'),
    inactiveSince: z.string().nullable().describe('RFC 3339; null while it is read, and before PostgreSQL 17'),
    confirmedLsn: z.string().nullable().describe("as PostgreSQL writes it: the slot's confirmed_flush_lsn"),
    lagBytes: slotNumber("from what is confirmed to the end of the server's WAL"),
    spilledTransactions: slotNumber('decoded on disk, since the slot was made'),
    spilledBytes: slotNumber('of those, counted once for each time they were written'),
    isHigh: z
      .boolean()
      .describe('it holds more than half of what it may; above the limit the relay lets it go and polls'),
  })
  .describe('the replication slot as last looked at, every ten seconds');

/** How a route learns of new rows, as the admin API shows it. */
export const captureViewSchema = z
  .object({
    mode: z.enum(CAPTURE_MODES).describe('as configured, or as PUT .../capture has said'),
    reading: z.enum(['table', 'stream']).describe('what is read at this moment'),
    streamsLost: count().describe('how often reading went from the stream back to the table by itself, in this claim'),
    slot: slotView.nullable().describe('null while no slot is wanted'),
  })
  .describe('how new rows are found; only the relay that holds the lease knows');

export type CaptureView = z.infer<typeof captureViewSchema>;

/** The capture of a claimed route in the form of the API. */
export function captureViewOf({ mode, reading, streamsLost, slot }: ClaimStatus): CaptureView {
  return { mode, reading, streamsLost, slot: slot === null ? null : slotViewOf(slot) };
}

function slotViewOf(slot: SlotStatus): NonNullable<CaptureView['slot']> {
  return {
    ...slot,
    retainedBytes: textOf(slot.retainedBytes),
    safeWalBytes: textOf(slot.safeWalBytes),
    confirmedLsn: slot.confirmedLsn === null ? null : formatLsn(slot.confirmedLsn),
    lagBytes: textOf(slot.lagBytes),
    spilledTransactions: textOf(slot.spilledTransactions),
    spilledBytes: textOf(slot.spilledBytes),
  };
}

function textOf(value: bigint | null): string | null {
  return value === null ? null : String(value);
}
