import { type SlotFacts, type SlotReading } from '../slot/slot-reading.js';

/** A slot as its keeper made it, that nobody reads. */
export const A_SLOT: SlotFacts = {
  name: 'millrace_r',
  plugin: 'pgoutput',
  isOfThisDatabase: true,
  isTemporary: false,
  isTwoPhase: false,
  activePid: null,
  restartLsn: 40n,
  confirmedFlushLsn: 50n,
  walStatus: 'reserved',
  safeWalBytes: null,
  retainedBytes: 0n,
  inactiveSince: null,
  isConflicting: false,
  invalidationReason: null,
  isFailover: true,
  isSynced: false,
  spill: null,
  reader: null,
  waitingFor: null,
};

/** A server of the present release with that slot. */
export const A_READING: SlotReading = {
  serverVersion: 180_000,
  isStandby: false,
  walLevel: 'logical',
  mayReplicate: true,
  slotsMax: 10,
  slotsUsed: 1,
  walSenderTimeoutMs: 60_000,
  synchronizedStandbySlots: null,
  databaseOid: '1',
  walLsn: 100n,
  publication: null,
  slots: [A_SLOT],
};
