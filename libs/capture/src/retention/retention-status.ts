import { PgConnection, type TextColumns } from '../pg-connection.js';
import { columnReader } from '../required-text.js';
import { DEFAULT_LEAF } from './leaf-counts.js';
import { PgRetention } from './pg-retention.js';
import { type LeafObstacle, type RouteHold } from './retention-observer.js';
import { DEFAULT_LEAF_SQL, leafAgesSql, LEAVES_SQL } from './retention-status.sql.js';

/**
 * What a leaf is doing: `ahead` (for later positions), `filling` (new rows go to it), `emptied`, `kept` (settled, and no
 * time to keep is known), `due` (it goes at the next run), or why it waits.
 */
export type LeafState = LeafObstacle | 'filling' | 'kept' | 'due' | 'emptied';

/** One table of rows; `lo` 0 is the default partition. */
export interface LeafStatus {
  /** The table, as `millrace.outbox_p1`. */
  readonly table: string;
  readonly lo: bigint;
  readonly last: bigint;
  /** As the server's statistics have it: about. */
  readonly rows: number;
  readonly bytes: number;
  /** `null`: without a row, or not looked at. */
  readonly oldestAgeMs: number | null;
  readonly newestAgeMs: number | null;
  readonly state: LeafState;
  /** The route that it waits for, where it is one; a leaf that is held for no route waits for the next row. */
  readonly route: string | null;
}

/** What a route keeps from being emptied. */
export interface RouteRetention extends RouteHold {
  /** From its `low` to the last position that is old enough to go; 0 when it holds nothing. */
  readonly positions: bigint;
}

/** The history that a source has, as it was read. */
export interface RetentionStatus {
  /** The last position that was given out. */
  readonly lastPosition: bigint;
  /** By position; with very many leaves only the oldest ones. */
  readonly leaves: readonly LeafStatus[];
  readonly leavesTotal: number;
  /** `null` when it has no row. */
  readonly defaultPartition: LeafStatus | null;
  /** Of all leaves and the default partition, with indexes. */
  readonly bytes: number;
  /** Age of the oldest row; `null` without one. */
  readonly oldestAgeMs: number | null;
  readonly routes: readonly RouteRetention[];
}

/** Which history is to be looked at. */
export interface RetentionStatusRequest {
  readonly databaseUrl: string;
  /** `null`: rows are kept for ever, or it is not known for how long. */
  readonly keepMs: number | null;
  /** So many leaves that are due are asked what stands against them; counts their rows, a second per million. */
  readonly verdictsMax?: number;
  readonly signal?: AbortSignal;
}

const LEAVES_LOOKED_AT_MAX = 500;

const column = columnReader('A statement on the leaves');

/** Looks at the history of a source by short statements; changes nothing and holds nobody up. Throws `CaptureError`. */
export async function readRetentionStatus(request: RetentionStatusRequest): Promise<RetentionStatus> {
  const { databaseUrl, signal } = request;
  const connection = new PgConnection({ databaseUrl, applicationName: 'millrace retention', signal });
  try {
    return await new StatusReader(connection, request).read();
  } finally {
    await connection.close();
  }
}

class StatusReader {
  private readonly database: PgRetention;
  private verdictsLeft: number;

  constructor(
    private readonly connection: PgConnection,
    private readonly request: RetentionStatusRequest,
  ) {
    this.database = new PgRetention(connection);
    this.verdictsLeft = request.verdictsMax ?? 0;
  }

  async read(): Promise<RetentionStatus> {
    const holds = await this.database.routes(this.request.keepMs ?? 0);
    const found = await this.connection.records({ text: LEAVES_SQL });
    const [fallback] = await this.connection.records({ text: DEFAULT_LEAF_SQL });
    const leaves: LeafStatus[] = [];
    for (const row of found.slice(0, LEAVES_LOOKED_AT_MAX)) {
      leaves.push(await this.leafOf(row, holds));
    }
    const defaultPartition = fallback === undefined ? null : await this.leafOf(fallback, holds);
    const all = [...leaves, ...(defaultPartition === null ? [] : [defaultPartition])];
    const ages = all.flatMap(({ oldestAgeMs }) => oldestAgeMs ?? []);
    const rows = [...found, ...(fallback === undefined ? [] : [fallback])];
    return {
      lastPosition: BigInt(found[0]?.['last_position'] ?? 0),
      leaves,
      leavesTotal: found.length,
      defaultPartition,
      bytes: rows.reduce((sum, row) => sum + Number(column(row, 'bytes')), 0),
      oldestAgeMs: ages.length === 0 ? null : Math.max(...ages),
      routes: holds.map((hold) => ({ ...hold, positions: this.heldPositions(hold, all) })),
    };
  }

  private async leafOf(row: TextColumns, holds: readonly RouteHold[]): Promise<LeafStatus> {
    const lo = BigInt(column(row, 'lo'));
    const last = BigInt(column(row, 'last'));
    const lastPosition = BigInt(column(row, 'last_position'));
    const isAhead = lo > lastPosition;
    const { oldest, newest } = isAhead ? {} : await this.agesOf(lo, last);
    const ages = { oldestAgeMs: ageOf(oldest), newestAgeMs: ageOf(newest) };
    const leaf = {
      table: column(row, 'table_name'),
      lo,
      last,
      rows: Number(column(row, 'rows')),
      bytes: Number(column(row, 'bytes')),
      ...ages,
    };
    if (isAhead || last > lastPosition) {
      return { ...leaf, state: isAhead ? 'ahead' : 'filling', route: null };
    }
    const isEmptied = row['is_emptied'] === 't';
    if (ages.newestAgeMs === null) {
      return { ...leaf, state: isEmptied ? 'emptied' : 'empty', route: null };
    }
    return { ...leaf, ...(await this.standing(leaf, ages.newestAgeMs, holds)) };
  }

  private async agesOf(lo: bigint, last: bigint): Promise<TextColumns> {
    const text = leafAgesSql(lo === DEFAULT_LEAF);
    const [ages] = await this.connection.records({ text, values: [String(lo), String(last)] });
    return ages ?? {};
  }

  /** What stands against a leaf that is written to its end and has rows. */
  private async standing(
    { lo, last }: Pick<LeafStatus, 'lo' | 'last'>,
    newestAgeMs: number,
    holds: readonly RouteHold[],
  ): Promise<Pick<LeafStatus, 'state' | 'route'>> {
    const { keepMs } = this.request;
    if (holds.length === 0) {
      return { state: 'no_route', route: null };
    }
    if (keepMs !== null && newestAgeMs < keepMs) {
      return { state: 'young', route: null };
    }
    const unsettled = holds.filter((hold) => !hold.isExpired && hold.low < last).sort(byLow);
    if (unsettled.length > 0) {
      return { state: 'held', route: unsettled.find(({ leaves }) => leaves > 0)?.route ?? null };
    }
    return keepMs === null ? { state: 'kept', route: null } : await this.verdictOf(lo, keepMs);
  }

  private async verdictOf(lo: bigint, keepMs: number): Promise<Pick<LeafStatus, 'state' | 'route'>> {
    if (this.verdictsLeft <= 0) {
      return { state: 'due', route: null };
    }
    this.verdictsLeft -= 1;
    const { verdict, route } = await this.database.verdictOf(lo, keepMs);
    return { state: verdict === 'ready' ? 'due' : verdict, route };
  }

  private heldPositions({ leaves, low }: RouteHold, all: readonly LeafStatus[]): bigint {
    const keepMs = this.request.keepMs ?? 0;
    const old = all.filter(
      ({ newestAgeMs, state }) => state !== 'filling' && newestAgeMs !== null && newestAgeMs >= keepMs,
    );
    const last = old.reduce((highest, leaf) => (leaf.last > highest ? leaf.last : highest), low);
    return leaves === 0 ? 0n : last - low;
  }
}

function byLow(one: RouteHold, other: RouteHold): number {
  return one.low < other.low ? -1 : Number(one.low > other.low);
}

/** A clock that was set back makes no negative age. */
function ageOf(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Math.max(0, Number(text));
}
