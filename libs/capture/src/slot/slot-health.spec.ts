import { describe, expect, it } from '@jest/globals';
import { describeSlot, expectedSlotName, outdatedSlots, slotHealth, type SlotHealth } from './slot-health.js';
import { slotPrefix } from './slot-name.js';
import { type SlotFacts, slotReading, type SlotReading } from './slot-reading.js';

const ROUTE = 'orders';
const OID = '16384';

const server: Record<string, string | null> = {
  server_version: '180004',
  is_standby: 'false',
  wal_level: 'logical',
  may_replicate: 'true',
  slots_max: '10',
  slots_used: '1',
  wal_sender_timeout_ms: '60000',
  database_oid: OID,
  wal_lsn: '0/2000',
  form: '1.2.3.4',
  is_right: 'true',
};

const NAME = expectedSlotName(slotReading([server]), ROUTE);

const slot: Record<string, string | null> = {
  slot_name: NAME,
  plugin: 'pgoutput',
  slot_database_oid: OID,
  is_temporary: 'false',
  is_two_phase: 'false',
  confirmed_flush_lsn: '0/1000',
  restart_lsn: '0/F00',
  wal_status: 'reserved',
  is_failover: 'true',
  retained_bytes: '4352',
};

const read = (...changes: Record<string, string | null>[]): SlotReading =>
  slotReading(changes.length === 0 ? [server] : changes.map((change) => ({ ...server, ...slot, ...change })));

const health = (
  reading: SlotReading,
  expected: { ourPid?: number | null; confirmedLsn?: bigint | null } = {},
): SlotHealth => slotHealth(reading, { route: ROUTE, isFailover: true, ourPid: null, confirmedLsn: null, ...expected });

describe('the health of a slot', () => {
  it('is ready when it is there, whole, and read by nobody or by us', () => {
    expect(health(read({}))).toMatchObject({ kind: 'ready', slot: { name: NAME, confirmedFlushLsn: 0x1000n } });
    expect(health(read({ active_pid: '42' }), { ourPid: 42, confirmedLsn: 0x1000n })).toMatchObject({ kind: 'ready' });
  });

  it('is absent when there is none, and when one was never finished and nobody is at it', () => {
    expect(health(read())).toEqual({ kind: 'absent', name: NAME });
    expect(health(read({ confirmed_flush_lsn: null }))).toEqual({ kind: 'absent', name: NAME });
  });

  it('is busy when somebody else reads it', () => {
    expect(health(read({ active_pid: '42' }), { ourPid: 43 })).toEqual({ kind: 'busy', name: NAME, pid: 42 });
  });

  it('is creating while a backend makes it, with whom that waits for', () => {
    const making = { confirmed_flush_lsn: null, active_pid: '42' };
    expect(health(read(making))).toEqual({ kind: 'creating', name: NAME, pid: 42, waitingFor: null });
    const waiting = {
      ...making,
      is_waiting: 'true',
      waiting_pid: '7',
      waiting_application: 'job',
      waiting_age_s: '61',
    };
    expect(describeSlot(health(read(waiting)))).toMatch(
      /waits for pid 7, application job, open for 61 s: .* by polling/,
    );
    const prepared = { ...making, is_waiting: 'true', waiting_gid: 'gid-1' };
    expect(describeSlot(health(read(prepared)))).toMatch(/waits for prepared transaction gid-1:/);
  });

  it.each([
    ['18', { invalidation_reason: 'wal_removed', wal_status: 'lost' }, 'wal_removed'],
    ['18', { invalidation_reason: 'idle_timeout', wal_status: 'lost' }, 'idle_timeout'],
    ['17', { invalidation_reason: 'rows_removed', is_conflicting: 'true' }, 'rows_removed'],
    ['17', { invalidation_reason: 'wal_level_insufficient', is_conflicting: 'true' }, 'wal_level_insufficient'],
    ['19', { invalidation_reason: 'something_new' }, 'unknown'],
    ['16', { is_conflicting: 'true' }, 'rows_removed'],
    ['15', { wal_status: 'lost', restart_lsn: null }, 'wal_removed'],
  ])('is invalidated as PostgreSQL %s shows it: %j', (_version, change, reason) => {
    expect(health(read(change))).toEqual({ kind: 'invalidated', name: NAME, reason });
  });

  it('is ahead of us only when we have confirmed something, and less', () => {
    expect(health(read({}), { confirmedLsn: 0xfffn })).toEqual({
      kind: 'ahead-of-us',
      name: NAME,
      confirmedFlushLsn: 0x1000n,
      ours: 0xfffn,
    });
    expect(health(read({}), { confirmedLsn: 0x1001n }).kind).toBe('ready');
    expect(health(read({}), { confirmedLsn: null }).kind).toBe('ready');
  });

  it('says that a slot of an earlier form of the publication is older than it', () => {
    const older = `${slotPrefix({ route: ROUTE, databaseOid: OID })}00000000`;
    expect(health(read({ slot_name: older }))).toEqual({ kind: 'publication-younger-than-slot', name: older });
    const both = read({ slot_name: older }, {});
    expect(health(both).kind).toBe('ready');
    expect(outdatedSlots(both, ROUTE).map(({ name }) => name)).toEqual([older]);
  });

  it('throws no slot away while the publication is missing', () => {
    const reading = read({ form: null, is_right: null });
    expect(health(reading).kind).toBe('publication-missing');
    expect(outdatedSlots(reading, ROUTE)).toEqual([]);
  });

  it.each([
    [{ plugin: 'wal2json' }],
    [{ slot_database_oid: '5' }],
    [{ is_temporary: 'true' }],
    [{ is_two_phase: 'true' }],
    [{ is_failover: 'false' }],
  ])('is not as made when it has %j', (change) => {
    expect(health(read(change))).toEqual({ kind: 'not-as-made', name: NAME });
  });

  it('asks for a failover slot only where there are some', () => {
    expect(health(read({ is_failover: null, server_version: '160009' })).kind).toBe('ready');
  });

  it('speaks of the server first, then of the publication, then of the slot', () => {
    const lost = { invalidation_reason: 'wal_removed', is_right: 'false' };
    expect(health(read(lost)).kind).toBe('publication-wrong');
    expect(health(read({ ...lost, may_replicate: 'false' })).kind).toBe('not-allowed');
    expect(health(read({ ...lost, may_replicate: 'false', wal_level: 'replica' })).kind).toBe('wal-level');
    expect(health(read({ ...lost, wal_level: 'replica', is_standby: 'true', wal_lsn: null })).kind).toBe('not-primary');
  });

  it('says that no slot is left only to who needs one', () => {
    expect(health(slotReading([{ ...server, slots_used: '10' }]))).toEqual({ kind: 'no-slot-left', used: 10, max: 10 });
    expect(health(read({ slots_used: '10' })).kind).toBe('ready');
  });

  it('has a sentence for each state that says what goes on and what to do', () => {
    const facts: SlotFacts | undefined = read({}).slots[0];
    if (facts === undefined) {
      throw new Error('the reading has a slot');
    }
    const states: SlotHealth[] = [
      { kind: 'ready', slot: facts },
      { kind: 'absent', name: 's' },
      { kind: 'creating', name: 's', pid: 1, waitingFor: null },
      { kind: 'busy', name: 's', pid: 1 },
      { kind: 'invalidated', name: 's', reason: 'idle_timeout' },
      { kind: 'publication-missing' },
      { kind: 'publication-wrong' },
      { kind: 'publication-younger-than-slot', name: 's' },
      { kind: 'ahead-of-us', name: 's', confirmedFlushLsn: 0x16_b374d848n, ours: 1n },
      { kind: 'not-as-made', name: 's' },
      { kind: 'wal-level', walLevel: 'replica' },
      { kind: 'no-slot-left', used: 10, max: 10 },
      { kind: 'not-allowed' },
      { kind: 'not-primary' },
    ];
    const sentences = states.map((state) => describeSlot(state));
    expect(new Set(sentences).size).toBe(states.length);
    expect(sentences.slice(1, -1).filter((sentence) => !/goes on by polling/.test(sentence))).toEqual([]);
    expect(sentences.join(' ')).toContain('stands at 16/B374D848, ahead of 0/1');
  });
});

describe('a reading of the slot', () => {
  it('keeps numbers wide, and has what a server does not show as null', () => {
    const [facts] = read({ safe_wal_size: '9007199254740993', spill_txns: '1', spill_bytes: '2' }).slots;
    expect(facts).toMatchObject({
      safeWalBytes: 9_007_199_254_740_993n,
      retainedBytes: 4352n,
      inactiveSince: null,
      isFailover: true,
      reader: null,
      spill: { spilledTransactions: 1n, spills: 0n, spilledBytes: 2n },
    });
  });

  it('refuses an answer without a row or without what every server has', () => {
    expect(() => slotReading([])).toThrow(/without a row/);
    expect(() => slotReading([{ ...server, wal_level: null }])).toThrow(/without wal_level/);
  });
});
