import { type Epoch, type Position, toPosition } from '@millrace/events';
import { CaptureError } from './capture.errors.js';
import { type PgConnection, type TextColumns } from './pg-connection.js';
import { columnReader } from './required-text.js';
import { type RouteShards, SHARDS_MAX, type ShardProgress, type ShardsRequest } from './route-shards.js';

/** Which shard has nothing left to do, and under which epoch it found that. */
export interface DrainedShard {
  readonly route: string;
  readonly ledger: string;
  readonly epoch: Epoch;
}

const SET_SHARDS_SQL = `select verdict from millrace.set_shards($1, $2, $3, $4)`;

const FINISH_SQL = `select verdict, shards::text from millrace.finish_resharding($1, $2, $3)`;

/** $1 route. */
const SHARDS_SQL = `select s.shards::text, s.wanted::text, l.fence::text, l.route, l.low::text, l.is_paused,
  case when l.expires > clock_timestamp() then l.owner end as owner, l.is_drained and l.low >= l.fence as is_drained
from millrace.route_shards s join millrace.ledger l on s.route in (l.route, l.shard_of)
where s.route = $1 order by length(l.route), l.route`;

const column = columnReader('A statement on the shards of a route');

/** Why the number of shards stays what it is, for an operator. */
const REFUSALS: Readonly<Record<string, CaptureError>> = {
  route_expired: new CaptureError(
    'route_expired',
    'A shard of the route has expired, so it would never drain. Let the route go on first.',
  ),
  ledger_missing: new CaptureError(
    'internal',
    'A shard of the route has no ledger, though it was divided. Start a relay with this route first.',
  ),
};

/** The number of shards of routes, in the source's database. Errors are `CaptureError`. */
export class PgRouteShards {
  constructor(private readonly connection: PgConnection) {}

  async set({ route, shards, actor, reason }: ShardsRequest): Promise<RouteShards> {
    if (!Number.isInteger(shards) || shards < 1 || shards > SHARDS_MAX) {
      throw new CaptureError('internal', `A route has 1 to ${String(SHARDS_MAX)} shards, not ${String(shards)}.`);
    }
    const [row] = await this.connection.records({ text: SET_SHARDS_SQL, values: [route, shards, actor, reason] });
    const refusal = REFUSALS[row?.['verdict'] ?? ''];
    if (refusal !== undefined) {
      throw refusal;
    }
    return this.read(route);
  }

  /** Throws `route_unknown` before the route has run. */
  async read(route: string): Promise<RouteShards> {
    const rows = await this.connection.records({ text: SHARDS_SQL, values: [route] });
    const [first] = rows;
    if (first === undefined) {
      throw new CaptureError(
        'route_unknown',
        `Route ${route} has no ledger in this database yet; it is made when the route first runs.`,
      );
    }
    return {
      route,
      inForce: Number(column(first, 'shards')),
      wanted: numberOf(first['wanted']),
      fence: fenceOf(first),
      shards: rows.map(progressOf),
    };
  }

  /** A shard has drained: puts the new ones into force when all have; their number, or `null` when some have not. */
  async drained({ route, ledger, epoch }: DrainedShard): Promise<number | null> {
    const [row] = await this.connection.records({ text: FINISH_SQL, values: [route, ledger, String(epoch)] });
    return row?.['verdict'] === 'finished' ? Number(column(row, 'shards')) : null;
  }
}

/** The fence of a ledger row; `null` without one. */
export function fenceOf(row: TextColumns): Position | null {
  const fence = row['fence'] ?? null;
  return fence === null ? null : toPosition(fence);
}

function numberOf(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

function progressOf(row: TextColumns): ShardProgress {
  return {
    name: column(row, 'route'),
    low: toPosition(column(row, 'low')),
    owner: row['owner'] ?? null,
    isPaused: row['is_paused'] === 't',
    isDrained: row['is_drained'] === 't',
  };
}
