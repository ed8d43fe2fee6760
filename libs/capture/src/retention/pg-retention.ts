import { CaptureError } from '../capture.errors.js';
import { type PgConnection, type Statement, type TextColumns } from '../pg-connection.js';
import { columnReader } from '../required-text.js';
import {
  DEFAULT_BYTES_SQL,
  DRAWN_LEAVES_SQL,
  DROP_EMPTY_LEAVES_SQL,
  EMPTY_LEAF_SQL,
  EXPIRE_ROUTE_SQL,
  FORGET_CHECKPOINTS_SQL,
  LEAF_VERDICT_SQL,
  ROUTE_HOLDS_SQL,
  ROUTES_SQL,
} from './retention.sql.js';
import { type LeafObstacle, type RouteHold } from './retention-observer.js';
import { type RetentionPolicy } from './retention-policy.js';

const column = columnReader('A statement of retention');

/** A leaf whose positions have all been given out. */
export interface DrawnLeaf {
  readonly table: string;
  readonly lo: bigint;
  readonly last: bigint;
  readonly isEmptied: boolean;
}

/** What the database says of emptying one leaf, or has done about it. */
export interface LeafVerdict {
  readonly verdict: LeafObstacle | 'ready' | 'emptied';
  readonly table: string;
  readonly last: bigint;
  readonly route: string | null;
  /** Rows of the leaf; of a miscounted one, those that the route should have read. */
  readonly found: number;
  readonly counted: number;
}

/** The answer to the request that a route expire. */
export interface ExpiryVerdict {
  readonly verdict: string;
  readonly low: bigint;
  readonly leaves: number;
  readonly bytes: number;
  readonly ageMs: number;
}

/** What retention asks of the database, one statement each. Errors are `CaptureError`. */
export class PgRetention {
  constructor(private readonly connection: PgConnection) {}

  async drawnLeaves(limit: number): Promise<readonly DrawnLeaf[]> {
    const rows = await this.connection.records({ text: DRAWN_LEAVES_SQL, values: [limit] });
    return rows.map((row) => ({
      table: column(row, 'table_name'),
      lo: BigInt(column(row, 'lo')),
      last: BigInt(column(row, 'last')),
      isEmptied: row['is_emptied'] === 't',
    }));
  }

  /** Looks only. */
  async verdictOf(lo: bigint, keepMs: number): Promise<LeafVerdict> {
    return leafVerdict(await this.one({ text: LEAF_VERDICT_SQL, values: [String(lo), keepMs] }));
  }

  /**
   * Truncates the leaf unless something stands against it. With `copied` only while it has so many rows; otherwise it
   * stays `ready`.
   */
  async empty(lo: bigint, keepMs: number, copied: number | null): Promise<LeafVerdict> {
    return leafVerdict(await this.one({ text: EMPTY_LEAF_SQL, values: [String(lo), keepMs, copied] }));
  }

  /** Returns how many tables were removed. */
  async dropEmptyLeaves(max: number): Promise<number> {
    return Number(column(await this.one({ text: DROP_EMPTY_LEAVES_SQL, values: [max] }), 'dropped'));
  }

  async forgetCheckpoints(keepMs: number): Promise<void> {
    await this.connection.records({ text: FORGET_CHECKPOINTS_SQL, values: [keepMs] });
  }

  async defaultBytes(): Promise<number> {
    return Number(column(await this.one({ text: DEFAULT_BYTES_SQL }), 'bytes'));
  }

  async routes(keepMs: number): Promise<readonly RouteHold[]> {
    const holds: RouteHold[] = [];
    for (const row of await this.connection.records({ text: ROUTES_SQL })) {
      const route = column(row, 'route');
      const hold = await this.one({ text: ROUTE_HOLDS_SQL, values: [route, keepMs] });
      holds.push({
        route,
        low: BigInt(column(row, 'low')),
        isExpired: row['is_expired'] === 't',
        leaves: Number(column(hold, 'leaves')),
        bytes: Number(column(hold, 'bytes')),
        ageMs: Number(column(hold, 'age_ms')),
      });
    }
    return holds;
  }

  async expire(route: string, policy: RetentionPolicy, lowSeen: bigint): Promise<ExpiryVerdict> {
    const values = [route, policy.keepMs, policy.maxAgeMs, policy.maxBytes, String(lowSeen)];
    const row = await this.one({ text: EXPIRE_ROUTE_SQL, values });
    return {
      verdict: column(row, 'verdict'),
      low: BigInt(row['low'] ?? 0),
      leaves: Number(row['leaves'] ?? 0),
      bytes: Number(row['bytes'] ?? 0),
      ageMs: Number(row['age_ms'] ?? 0),
    };
  }

  private async one(statement: Statement): Promise<TextColumns> {
    const [row] = await this.connection.records(statement);
    if (row === undefined) {
      throw new CaptureError('internal', 'A statement of retention came back without a row.');
    }
    return row;
  }
}

const VERDICTS: Readonly<Record<LeafVerdict['verdict'], true>> = {
  ready: true,
  emptied: true,
  empty: true,
  ahead: true,
  young: true,
  held: true,
  locked: true,
  busy: true,
  not_counted: true,
  no_route: true,
  in_use: true,
  miscounted: true,
  identity_changed: true,
  unknown_leaf: true,
};

function leafVerdict(row: TextColumns): LeafVerdict {
  const verdict = column(row, 'verdict');
  if (!isVerdict(verdict)) {
    throw new CaptureError(
      'schema_too_new',
      `The database answers ${verdict} on a leaf, which this relay does not know.`,
    );
  }
  return {
    verdict,
    table: row['table_name'] ?? '',
    last: BigInt(row['last'] ?? 0),
    route: row['route'] ?? null,
    found: Number(row['found'] ?? 0),
    counted: Number(row['counted'] ?? 0),
  };
}

function isVerdict(text: string): text is LeafVerdict['verdict'] {
  return Object.hasOwn(VERDICTS, text);
}
