import { type Epoch, type Position, toEpoch, toPosition } from '@millrace/events';
import { CaptureError, otherTimeline } from './capture.errors.js';
import { CAPTURE_MODES, type CaptureMode, type StartFrom } from './capture-port.js';
import { SINCE_SQL } from './fork/fork.sql.js';
import { heldParts } from './held/held.sql.js';
import { type ClaimedHeld } from './held/held-events.js';
import { PgHeldReader } from './held/pg-held-reader.js';
import { type GapBound, type GapRange, gapDelta, type LedgerState, lowOf } from './ledger.js';
import { reachFence } from './ledger-fence.js';
import { type LedgerClaim, type LedgerClaimRequest, type LedgerSaved, type LedgerStorePort } from './ledger-store.js';
import {
  CLAIM_SQL,
  countedSql,
  CREATE_SQL,
  ENDED_UP_TO_SQL,
  GAPS_SQL,
  HOLDER_SQL,
  IN_FORCE_SQL,
  INVISIBLE_SQL,
  LAST_POSITION_SQL,
  RELEASE_SQL,
  SAVE_ROW_SQL,
  saveSql,
} from './ledger.sql.js';
import { type LedgerNotes } from './offsets/lane-offset.js';
import { LANE_OFFSETS_SQL, type LedgerPart, notesParts, storedLaneOffset } from './offsets/offsets.sql.js';
import { type PgConnection, type Statement, type TextColumns } from './pg-connection.js';
import { fenceOf } from './pg-route-shards.js';
import { columnReader } from './required-text.js';
import { type LeafCountStep } from './retention/leaf-counts.js';
import { RouteCounts } from './retention/route-counts.js';
import { type RouteShard } from './route-shards.js';

const column = columnReader('A statement on the ledger');

interface Held {
  readonly route: string;
  readonly epoch: Epoch;
  readonly ttlMs: number;
  readonly counts: RouteCounts;
  ctid: string;
  stored: LedgerState;
}

/** How often a write looks for its row anew when a pause or a rewrite of the table has moved it. */
const SAVE_TRIES_MAX = 5;

/** The ledger in the producer's own database. Contract: `LedgerStorePort`. */
export class PgLedgerStore implements LedgerStorePort {
  private held: Held | undefined;

  constructor(private readonly connection: PgConnection) {}

  async claim(request: LedgerClaimRequest): Promise<LedgerClaim> {
    const { route, owner, ttlMs, graceMs = 0, shard = { of: route, number: 1, count: 1 } } = request;
    const values = [route, owner, ttlMs, graceMs, shard.count];
    let row = await this.one({ text: CLAIM_SQL, values });
    if (row === undefined) {
      const refusal = await this.refusal(route, graceMs, shard);
      if (refusal !== null) {
        return refusal;
      }
      await this.create(shard, request.from);
      row = await this.one({ text: CLAIM_SQL, values });
    }
    return row === undefined ? { kind: 'held', owner: '', expiresInMs: graceMs } : this.claimed(request, row);
  }

  async save(
    next: LedgerState,
    taken: readonly (readonly Position[])[],
    unsettledMs: number,
    notes: LedgerNotes = {},
  ): Promise<LedgerSaved> {
    const held = this.owned();
    const counted = await held.counts.stepFor(taken);
    const write: LedgerWrite = { next, counted, unsettledMs, notes };
    for (let tries = 1; tries <= SAVE_TRIES_MAX; tries += 1) {
      const row = await this.one(saveStatement(held, write));
      if (row !== undefined) {
        held.ctid = column(row, 'ctid');
        held.stored = next;
        held.counts.written(counted);
        return {
          isPaused: row['is_paused'] === 't',
          mode: storedMode(row),
          heldRevision: BigInt(column(row, 'held_revision')),
          xid: BigInt(column(row, 'xid')),
        };
      }
      const now = await this.one({ text: HOLDER_SQL, values: [held.route, 0] });
      if (now === undefined || BigInt(column(now, 'epoch')) !== held.epoch) {
        this.held = undefined;
        throw new CaptureError(
          'fenced',
          `Route ${held.route} has been taken over by ${now?.['owner'] ?? 'another relay'}.`,
        );
      }
      if (now['is_same_timeline'] !== 't') {
        throw otherTimeline();
      }
      held.ctid = column(now, 'ctid');
    }
    throw new CaptureError(
      'database_unavailable',
      `The ledger row of route ${held.route} moves faster than it can be written.`,
    );
  }

  async release(): Promise<void> {
    if (this.held !== undefined) {
      const { route, epoch } = this.held;
      this.held = undefined;
      await this.one({ text: RELEASE_SQL, values: [route, String(epoch)] }).catch(() => undefined);
    }
    await this.connection.close();
  }

  /** Why the claim was not granted; `null`: the route has no ledger yet. */
  private async refusal(route: string, graceMs: number, shard: RouteShard): Promise<LedgerClaim | null> {
    const holder = await this.one({ text: HOLDER_SQL, values: [route, graceMs] });
    const known = holder ?? (await this.one({ text: IN_FORCE_SQL, values: [shard.of] }));
    if (known !== undefined && Number(column(known, 'shards')) !== shard.count) {
      return { kind: 'resharded', shards: Number(column(known, 'shards')) };
    }
    if (holder === undefined) {
      return null;
    }
    refuseExpired(route, holder);
    return { kind: 'held', owner: holder['owner'] ?? '', expiresInMs: Number(holder['expires_in_ms'] ?? 0) };
  }

  private owned(): Held {
    if (this.held === undefined) {
      throw new CaptureError('fenced', 'The ledger is not held by this relay.');
    }
    return this.held;
  }

  private async claimed(request: LedgerClaimRequest, row: TextColumns): Promise<LedgerClaim> {
    const epoch = toEpoch(column(row, 'epoch'));
    const timeline = BigInt(column(row, 'timeline'));
    // read after the epoch was won: nobody else can write the gaps any more
    const gaps = await this.connection.records({ text: GAPS_SQL, values: [request.route] });
    const { of: whole } = request.shard ?? { of: request.route };
    const lanes = await this.connection.records({ text: LANE_OFFSETS_SQL, values: [whole] });
    const state: LedgerState = { high: toPosition(column(row, 'high')), gaps: gaps.map(storedGap) };
    const { leaf_lo: leaf = null } = row;
    const counts = new RouteCounts(this.connection, BigInt(column(row, 'counted_from')), {
      leaf: leaf === null ? null : BigInt(leaf),
      rows: BigInt(column(row, 'leaf_rows')),
    });
    const { route, ttlMs } = request;
    this.held = { route, epoch, ttlMs, counts, ctid: column(row, 'ctid'), stored: state };
    if (row['is_same_server'] !== 't') {
      const since = await this.one({ text: SINCE_SQL, values: [route] });
      return { kind: 'forked', epoch, state, sinceMs: Number(since?.['since_ms'] ?? 0), timeline };
    }
    const fence = fenceOf(row);
    const reached = fence === null ? state : await this.reach(state, fence);
    const isPaused = row['is_paused'] === 't';
    const laneOffsets = lanes.map(storedLaneOffset);
    const mode = storedMode(row);
    const held = await this.heldOf(whole, BigInt(column(row, 'held_revision')));
    return { kind: 'claimed', epoch, isPaused, mode, state: reached, fence, timeline, laneOffsets, held };
  }

  private async heldOf(route: string, revision: bigint): Promise<ClaimedHeld> {
    const reader = new PgHeldReader(this.connection, route);
    return {
      revision,
      stored: await reader.keys(),
      keys: () => reader.keys(),
      chains: (request) => reader.chains(request),
    };
  }

  /** The bound of what lies up to the fence is the xid of this write, which begins after the fence was read. */
  private async reach(state: LedgerState, fence: Position): Promise<LedgerState> {
    const bound: GapBound = { xid: null, knownAtMs: Number.NEGATIVE_INFINITY };
    const reached = reachFence(state, fence, bound);
    if (reached !== state) {
      bound.xid = (await this.save(reached, [], 0)).xid;
    }
    return reached;
  }

  private async create({ of, count }: RouteShard, from: StartFrom): Promise<void> {
    const start = await this.startOf(from);
    await this.one({
      text: CREATE_SQL,
      values: [
        of,
        String(start.high),
        start.lo,
        start.hi,
        String(start.lo[0] === undefined ? start.high : BigInt(start.lo[0]) - 1n),
        count,
      ],
    });
  }

  /** `now`: all that was given out is passed over, but what may still be committed is a gap. */
  private async startOf(
    from: StartFrom,
  ): Promise<{ readonly high: bigint; readonly lo: string[]; readonly hi: string[] }> {
    if (from.kind === 'earliest') {
      return { high: 0n, lo: [], hi: [] };
    }
    const last = await this.one({ text: LAST_POSITION_SQL });
    const high = BigInt(last?.['last_position'] ?? 0);
    if (from.kind === 'position') {
      return { high: highBefore(from.position, high), lo: [], hi: [] };
    }
    const ended = await this.one({ text: ENDED_UP_TO_SQL, values: [String(high)] });
    const values = [String(high), ended?.['ended_up_to'] ?? '0'];
    const gaps = await this.connection.records({ text: INVISIBLE_SQL, values });
    return { high, lo: gaps.map((gap) => column(gap, 'lo')), hi: gaps.map((gap) => column(gap, 'hi')) };
  }

  private async one(statement: Statement): Promise<TextColumns | undefined> {
    const [row] = await this.connection.records(statement);
    return row;
  }
}

/** All below `position` counts as settled; beyond the sequence there is nothing to begin from. */
function highBefore(position: bigint, last: bigint): bigint {
  if (position > last + 1n) {
    throw new CaptureError(
      'sequence_behind',
      `A route cannot begin at position ${String(position)}: the last position given out is ${String(last)}. ` +
        'Begin at a position that exists, or at `now`.',
    );
  }
  return position > 1n ? position - 1n : 0n;
}

function refuseExpired(route: string, holder: TextColumns): void {
  if (holder['is_expired'] === 't') {
    throw new CaptureError(
      'route_expired',
      `Route ${route} has expired: it held more of the outbox than retention allows, and events that it had not settled ` +
        'may have been removed. See the audit trail for what it held, remove the cause, then let the route go on.',
    );
  }
}

interface LedgerWrite {
  readonly next: LedgerState;
  readonly counted: LeafCountStep;
  readonly unsettledMs: number;
  readonly notes: LedgerNotes;
}

function saveStatement(held: Held, { next, counted: { current, added }, unsettledMs, notes }: LedgerWrite): Statement {
  const delta = gapDelta(held.stored, next);
  const parts = [...countedPart(added), ...notesParts(notes), ...heldParts(notes.held)];
  const row: unknown[] = [
    held.ctid,
    held.route,
    String(held.epoch),
    String(lowOf(next)),
    String(next.high),
    held.ttlMs,
  ];
  row.push(current.leaf === null ? null : String(current.leaf), String(current.rows), Math.ceil(unsettledMs));
  if (delta.removed.length === 0 && delta.written.length === 0 && parts.length === 0) {
    return { text: SAVE_ROW_SQL, name: 'millrace_save_row', values: row };
  }
  row.push(
    delta.removed.map(String),
    delta.written.map((gap) => String(gap.lo)),
    delta.written.map((gap) => String(gap.hi)),
    delta.written.map((gap) => (gap.bound.xid === null ? null : String(gap.bound.xid))),
  );
  let more = '';
  for (const part of parts) {
    more += part.sql(row.length + 1);
    row.push(...part.values);
  }
  return { text: saveSql(more), name: ['millrace_save', ...parts.map(({ name }) => name)].join('_'), values: row };
}

function countedPart(added: LeafCountStep['added']): LedgerPart[] {
  const values = [[...added.keys()].map(String), [...added.values()].map(String)];
  return added.size === 0 ? [] : [{ name: 'counted', sql: countedSql, values }];
}

function storedGap(row: TextColumns): GapRange {
  const bound: GapBound = { xid: BigInt(column(row, 'bound')), knownAtMs: Number.NEGATIVE_INFINITY };
  return { lo: toPosition(column(row, 'lo')), hi: toPosition(column(row, 'hi')), bound };
}

function storedMode(row: TextColumns): CaptureMode | null {
  return CAPTURE_MODES.find((mode) => mode === row['capture']) ?? null;
}
