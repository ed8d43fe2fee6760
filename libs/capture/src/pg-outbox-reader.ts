import { toPosition } from '@millrace/events';
import { parseLsn } from './lsn.js';
import {
  type OutboxReaderPort,
  type OutboxWriters,
  type PollRequest,
  type PollResult,
  type SequenceReading,
} from './outbox-reader.js';
import { type EventFilter } from './event-filter.js';
import { type PgConnection, type Statement, type TextRow } from './pg-connection.js';
import { CaptureError, otherTimeline } from './capture.errors.js';
import { polledRow } from './polled-row.js';
import { cellReader } from './required-text.js';
import {
  ENSURE_LEAVES_SQL,
  FLUSHED_SQL,
  FORCE_FLUSH_SQL,
  pollName,
  type PollShape,
  pollSql,
  SEQUENCE_SQL,
  WRITERS_SQL,
} from './poll.sql.js';

const cell = cellReader('A statement on the source');

/** Reads one outbox over one connection. Contract: `OutboxReaderPort`. */
export class PgOutboxReader implements OutboxReaderPort {
  constructor(
    private readonly connection: PgConnection,
    private readonly filter: EventFilter,
    /** Copies that a fork repair has made for another one are not wanted. */
    private readonly route: string | null = null,
    /** On which the route was claimed; `null`: any. */
    private readonly timeline: bigint | null = null,
  ) {}

  async poll(request: PollRequest): Promise<PollResult> {
    const answer = await this.connection.rows(pollStatement(request, this.filter));
    const snapshot = answer.find((row) => row[0] === null);
    if (snapshot === undefined) {
      throw new CaptureError('internal', 'A poll came back without its snapshot.');
    }
    if (this.timeline !== null && BigInt(cell(snapshot, 5)) !== this.timeline) {
      throw otherTimeline();
    }
    const rows = answer.filter((row) => row !== snapshot).map((row) => polledRow(row, this.route));
    rows.sort((a, b) => (a.position < b.position ? -1 : 1));
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    return {
      rows,
      isFull: rows.length >= request.rowsMax || bytes >= request.bytesMax,
      snapshotXmin: BigInt(cell(snapshot, 1)),
      insertLsn: parseLsn(cell(snapshot, 2)),
      flushLsn: parseLsn(cell(snapshot, 3)),
      lastPosition: toPosition(cell(snapshot, 4)),
    };
  }

  async flushedLsn(): Promise<bigint> {
    const [row] = await this.connection.rows({ text: FLUSHED_SQL, name: 'millrace_flushed' });
    return parseLsn(cell(row, 0));
  }

  async forceFlush(): Promise<void> {
    await this.connection.rows({ text: FORCE_FLUSH_SQL });
  }

  async writers(): Promise<OutboxWriters> {
    const rows = await this.connection.rows({ text: WRITERS_SQL });
    return oldestOf(rows);
  }

  async sequence(): Promise<SequenceReading> {
    const [row] = await this.connection.rows({ text: SEQUENCE_SQL });
    return {
      cache: BigInt(cell(row, 0)),
      increment: BigInt(cell(row, 1)),
      isCycling: cell(row, 2) === 't',
      lastPosition: toPosition(cell(row, 3)),
      leavesAhead: Number(cell(row, 4)),
    };
  }

  async ensureLeaves(): Promise<void> {
    await this.connection.run(ENSURE_LEAVES_SQL);
  }

  async close(): Promise<void> {
    await this.connection.close();
  }
}

function oldestOf(rows: readonly TextRow[]): OutboxWriters {
  let oldest: { readonly xid: bigint; readonly row: TextRow } | null = null;
  for (const row of rows) {
    const xid = xidOf(row);
    if (xid === null) {
      return { oldestXid: 'unknown', oldest: describeWriter(row) };
    }
    oldest = oldest === null || xid < oldest.xid ? { xid, row } : oldest;
  }
  return { oldestXid: oldest?.xid ?? null, oldest: oldest === null ? null : describeWriter(oldest.row) };
}

/** Completes 32 bits to 64: an xid lies within 2^31 of the snapshot's xmax. */
function xidOf(row: TextRow): bigint | null {
  const near = BigInt(cell(row, 1));
  const xid = row[0] ?? null;
  return xid === null ? null : near + BigInt.asIntN(32, BigInt(xid) - near);
}

/** Age and application of others' sessions are shown to members of pg_read_all_stats only; the pid always is. */
function describeWriter(row: TextRow): string {
  const [, , pid, ageSeconds, application, gid] = row;
  const who = gid === null || gid === undefined ? `pid ${pid ?? '?'}` : `prepared transaction ${gid}`;
  const age = ageSeconds === null || ageSeconds === undefined ? '' : `, open for ${ageSeconds} s`;
  const from = application === null || application === undefined ? '' : `, application ${application}`;
  return who + age + from;
}

/** The poll as one prepared statement; its text depends only on what kinds of positions are asked for. */
export function pollStatement(request: PollRequest, filter: EventFilter): Statement {
  const singles = request.gaps.filter((gap) => gap.lo === gap.hi);
  const ranges = request.gaps.filter((gap) => gap.lo !== gap.hi);
  const first = singles[0];
  const last = singles[singles.length - 1];
  const firstRange = ranges[0];
  const lastRange = ranges[ranges.length - 1];
  const { aggregateTypes, eventTypes = null, headerValues = [] } = filter;
  const shape: PollShape = {
    hasAbove: request.above !== null,
    hasReach: request.above !== null && request.reach !== null,
    hasSingles: first !== undefined,
    hasRanges: firstRange !== undefined,
    hasAggregateTypes: aggregateTypes !== null,
    hasEventTypes: eventTypes !== null,
    headers: headerValues.length,
  };
  const values: unknown[] = [request.rowsMax, request.bytesMax];
  if (request.above !== null) {
    values.push(String(request.above), ...(request.reach === null ? [] : [String(request.reach)]));
  }
  if (first !== undefined && last !== undefined) {
    values.push(
      singles.map((gap) => String(gap.lo)),
      String(first.lo),
      String(last.lo),
    );
  }
  if (firstRange !== undefined && lastRange !== undefined) {
    values.push(
      ranges.map((gap) => String(gap.lo)),
      ranges.map((gap) => String(gap.hi)),
      String(firstRange.lo),
      String(lastRange.hi),
    );
  }
  values.push(...[aggregateTypes, eventTypes].filter((types) => types !== null));
  values.push(...headerValues.flatMap((header) => [header.name, header.values]));
  return { text: pollSql(shape), name: pollName(shape), values };
}
