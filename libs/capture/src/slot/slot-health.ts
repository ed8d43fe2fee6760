import { formatLsn } from '../lsn.js';
import { slotName, type SlotOwner, slotPrefix } from './slot-name.js';
import { type SlotFacts, type SlotReading, type SlotWaiter } from './slot-reading.js';

/** The first version with failover slots, as in `server_version_num`. */
export const FAILOVER_SINCE = 170_000;

/** Why the server gave a slot up; nothing can be read from it again. */
export type InvalidationReason = 'wal_removed' | 'idle_timeout' | 'rows_removed' | 'wal_level_insufficient' | 'unknown';

/** The states of a route's slot and what is known of each. */
export interface SlotHealthFacts {
  /** It is there, whole and ours; nobody reads it, or our own walsender. */
  ready: { readonly slot: SlotFacts };
  absent: { readonly name: string };
  /** A backend is making it now; it may wait for a transaction that was open before. */
  creating: { readonly name: string; readonly pid: number; readonly waitingFor: SlotWaiter | null };
  /** A walsender that is not ours reads it. */
  busy: { readonly name: string; readonly pid: number };
  invalidated: { readonly name: string; readonly reason: InvalidationReason };
  'publication-missing': object;
  'publication-wrong': object;
  /** The slot was made before the publication had its present form: it may pass over events in silence. */
  'publication-younger-than-slot': { readonly name: string };
  /** Somebody advanced it, or dropped it and made it anew. */
  'ahead-of-us': { readonly name: string; readonly confirmedFlushLsn: bigint; readonly ours: bigint };
  /** It has our name, but not the plugin, the database or the options that we make it with. */
  'not-as-made': { readonly name: string };
  'wal-level': { readonly walLevel: string };
  'no-slot-left': { readonly used: number; readonly max: number };
  'not-allowed': object;
  'not-primary': object;
}

type Kind = keyof SlotHealthFacts;

/** What a reading means for a route: exactly one of the states. `describeSlot` says it in a sentence. */
export type SlotHealth<Of extends Kind = Kind> = {
  [One in Of]: { readonly kind: One } & SlotHealthFacts[One];
}[Of];

/** What the caller knows and the server does not. */
export interface SlotExpectation {
  readonly route: string;
  /** The slot is to be a failover slot where the server has them. */
  readonly isFailover: boolean;
  /** The pid of our own walsender; `null` while we have none. */
  readonly ourPid: number | null;
  /**
   * The highest LSN that we have ever let the slot confirm; `null` while we have confirmed nothing since the route was
   * claimed. Nothing has to be compared then: a route that was just claimed reads the table first, and what the fence
   * of its hand-over confirms is in the ledger, wherever the slot stood.
   */
  readonly confirmedLsn: bigint | null;
}

/**
 * Judges a reading. What stands above hides what stands below: the server, then the publication, then the slot. A slot
 * is judged whole only while our own walsender holds it (`ourPid`): before, somebody may advance it between this
 * reading and our start, and START_REPLICATION then goes forward without a word. So read again after the start.
 */
export function slotHealth(reading: SlotReading, expected: SlotExpectation): SlotHealth {
  const unfit = serverHealth(reading) ?? publicationHealth(reading);
  if (unfit !== null) {
    return unfit;
  }
  const name = expectedSlotName(reading, expected.route);
  const slot = reading.slots.find((one) => one.name === name);
  if (slot !== undefined) {
    return isAsMade(slot, reading.serverVersion, expected) ? healthOf(slot, expected) : { kind: 'not-as-made', name };
  }
  const [older] = reading.slots;
  if (older !== undefined) {
    return { kind: 'publication-younger-than-slot', name: older.name };
  }
  return reading.slotsUsed >= reading.slotsMax
    ? { kind: 'no-slot-left', used: reading.slotsUsed, max: reading.slotsMax }
    : { kind: 'absent', name };
}

/** The name of the slot that the route has to use now. */
export function expectedSlotName(reading: SlotReading, route: string): string {
  return slotName(ownerOf(reading, route), reading.publication?.form ?? '');
}

/** Slots of the route that are of no use any more and hold WAL: those of a publication that was changed since. */
export function outdatedSlots(reading: SlotReading, route: string): readonly SlotFacts[] {
  const name = expectedSlotName(reading, route);
  const prefix = slotPrefix(ownerOf(reading, route));
  return reading.publication === null
    ? []
    : reading.slots.filter((slot) => slot.name.startsWith(prefix) && slot.name !== name);
}

function ownerOf(reading: SlotReading, route: string): SlotOwner {
  return { route, databaseOid: reading.databaseOid };
}

function serverHealth(reading: SlotReading): SlotHealth | null {
  if (reading.isStandby) {
    return { kind: 'not-primary' };
  }
  if (reading.walLevel !== 'logical') {
    return { kind: 'wal-level', walLevel: reading.walLevel };
  }
  return reading.mayReplicate ? null : { kind: 'not-allowed' };
}

function publicationHealth({ publication }: SlotReading): SlotHealth | null {
  if (publication === null) {
    return { kind: 'publication-missing' };
  }
  return publication.isRight ? null : { kind: 'publication-wrong' };
}

function healthOf(slot: SlotFacts, { ourPid, confirmedLsn }: SlotExpectation): SlotHealth {
  const { name, activePid, confirmedFlushLsn } = slot;
  const reason = invalidation(slot);
  if (reason !== null) {
    return { kind: 'invalidated', name, reason };
  }
  if (confirmedFlushLsn === null) {
    // a backend that gave up making it takes it along; one that is gone a moment ago leaves it unseen
    return activePid === null
      ? { kind: 'absent', name }
      : { kind: 'creating', name, pid: activePid, waitingFor: slot.waitingFor };
  }
  if (activePid !== null && activePid !== ourPid) {
    return { kind: 'busy', name, pid: activePid };
  }
  return confirmedLsn !== null && confirmedFlushLsn > confirmedLsn
    ? { kind: 'ahead-of-us', name, confirmedFlushLsn, ours: confirmedLsn }
    : { kind: 'ready', slot };
}

function isAsMade(slot: SlotFacts, serverVersion: number, { isFailover }: SlotExpectation): boolean {
  const isPlain = slot.plugin === 'pgoutput' && slot.isOfThisDatabase && !slot.isTemporary && !slot.isTwoPhase;
  return isPlain && (serverVersion < FAILOVER_SINCE || slot.isFailover === isFailover);
}

/** PostgreSQL 17 names the reason; 16 tells a conflict apart; 15 says only that the slot is lost. */
function invalidation(slot: SlotFacts): InvalidationReason | null {
  switch (slot.invalidationReason) {
    case 'wal_removed':
    case 'idle_timeout':
    case 'rows_removed':
    case 'wal_level_insufficient':
      return slot.invalidationReason;
    case null:
      break;
    default:
      return 'unknown';
  }
  if (slot.isConflicting) {
    return 'rows_removed';
  }
  return slot.walStatus === 'lost' ? 'wal_removed' : null;
}

const INVALIDATED: Readonly<Record<InvalidationReason, string>> = {
  wal_removed:
    'it held more WAL than max_slot_wal_keep_size allows. Raise that limit if the relay was away for a short time only',
  idle_timeout:
    'nobody read it for idle_replication_slot_timeout. Raise that limit above the longest time the relay may be away',
  rows_removed: 'rows that it needs were removed on the standby it was on. Set hot_standby_feedback = on there',
  wal_level_insufficient:
    'wal_level was below logical. Keep wal_level = logical on every server that may become primary',
  unknown: 'for a reason that this release does not know; see the server log',
};

const UNTIL_THEN = 'The route goes on by polling';

/** Who makes a slot, and for whom it waits: pid or prepared transaction, application, age; never a query. */
function describeCreation({ name, pid, waitingFor }: SlotHealthFacts['creating']): string {
  if (waitingFor === null) {
    return `Slot ${name} is being made by pid ${pid}. ${UNTIL_THEN}.`;
  }
  const who =
    waitingFor.preparedAs === null
      ? `pid ${waitingFor.pid ?? 'unknown'}`
      : `prepared transaction ${waitingFor.preparedAs}`;
  const application = waitingFor.application === null ? '' : `, application ${waitingFor.application}`;
  const age = waitingFor.ageSeconds === null ? '' : `, open for ${waitingFor.ageSeconds} s`;
  return (
    `Slot ${name} is being made and waits for ${who}${application}${age}: that transaction was open before. ` +
    `${UNTIL_THEN}; end the transaction if it was forgotten.`
  );
}

const SENTENCE: { readonly [One in Kind]: (health: SlotHealthFacts[One]) => string } = {
  ready: ({ slot }) => `Slot ${slot.name} is ready.`,
  absent: ({ name }) => `Slot ${name} does not exist; the relay makes it. ${UNTIL_THEN}.`,
  creating: describeCreation,
  busy: ({ name, pid }) =>
    `Slot ${name} is in use by pid ${pid}, which is not this relay; it is ended, because the route is ours. ${UNTIL_THEN}.`,
  invalidated: ({ name, reason }) =>
    `The server invalidated slot ${name}: ${INVALIDATED[reason]}. ${UNTIL_THEN}, and the slot is made anew.`,
  'publication-missing': () =>
    `Publication millrace does not exist; the relay calls millrace.ensure_publication() to make it. ${UNTIL_THEN}. ` +
    'If this stays, run `millrace migrate`.',
  'publication-wrong': () =>
    'Publication millrace does not publish the inserts of millrace.outbox through the parent table and nothing else; ' +
    `the relay calls millrace.ensure_publication() to make it anew. ${UNTIL_THEN}. ` +
    'If this stays, the publication has another owner than the schema: drop it.',
  'publication-younger-than-slot': ({ name }) =>
    `Slot ${name} was made before publication millrace had its present form and may pass over events; ` +
    `it is dropped and made anew. ${UNTIL_THEN}.`,
  'ahead-of-us': ({ name, confirmedFlushLsn, ours }) =>
    `Slot ${name} stands at ${formatLsn(confirmedFlushLsn)}, ahead of ${formatLsn(ours)} that this relay has confirmed: ` +
    `somebody advanced it, or dropped it and made it anew. ${UNTIL_THEN}, reads from the table what the slot passed over, ` +
    'and the slot is made anew.',
  'not-as-made': ({ name }) =>
    `Slot ${name} has the plugin, the database or options that the relay does not make it with; ` +
    `it is dropped and made anew. ${UNTIL_THEN}.`,
  'wal-level': ({ walLevel }) =>
    `The server runs with wal_level = ${walLevel}: set wal_level = logical and restart it, or choose capture mode polling. ${UNTIL_THEN}.`,
  'no-slot-left': ({ used, max }) =>
    `${used} of ${max} replication slots of the server are in use: drop slots that nobody needs, ` +
    `or raise max_replication_slots and restart the server. ${UNTIL_THEN}.`,
  'not-allowed': () =>
    'The role of the relay lacks the attribute REPLICATION: a superuser has to run `alter role <role> replication`, ' +
    `or choose capture mode polling. ${UNTIL_THEN}.`,
  'not-primary': () => 'The database is a standby: the relay reads the primary only and waits for it.',
};

/** For an operator, in a sentence or two: what the state means, what the relay does, and what a person has to do, if anything. */
export function describeSlot<Of extends Kind>(health: SlotHealth<Of>): string {
  return SENTENCE[health.kind](health);
}
