import { CaptureError } from '../capture.errors.js';
import { PgConnection, type Statement } from '../pg-connection.js';
import { columnReader } from '../required-text.js';
import { DEFAULT_LEAF } from './leaf-counts.js';
import { PgRetention } from './pg-retention.js';
import { ACCEPT_LEAF_COUNT_SQL, leafCountsSql, LET_ROUTE_GO_ON_SQL } from './retention.sql.js';
import { type LeafObstacle } from './retention-observer.js';

const column = columnReader('A statement on the counts of a leaf');

/** Which expired route goes on, by whose decision. */
export interface LetRouteGoOnRequest {
  readonly databaseUrl: string;
  readonly route: string;
  readonly actor: string;
  readonly reason: string | null;
  /** So long it does not expire again, whatever it holds. */
  readonly exemptMs: number;
}

/** `lost`: positions among which rows were removed that the route had not settled; `null` when there were none. */
export type LetRouteGoOnResult =
  | { readonly kind: 'goes_on'; readonly lost: { readonly from: bigint; readonly to: bigint } | null }
  | { readonly kind: 'not_expired' };

/**
 * Lets an expired route be claimed again; it goes on with the rows that are still there. Audited in the same
 * transaction. Throws `CaptureError`, `route_unknown` among them.
 */
export async function letRouteGoOn(request: LetRouteGoOnRequest): Promise<LetRouteGoOnResult> {
  const { databaseUrl, route, actor, reason, exemptMs } = request;
  const row = await ask(databaseUrl, { text: LET_ROUTE_GO_ON_SQL, values: [route, actor, reason, exemptMs] });
  if (row['verdict'] === 'unknown_route') {
    throw new CaptureError('route_unknown', `Route ${route} has no ledger in this database.`);
  }
  if (row['verdict'] === 'not_expired') {
    return { kind: 'not_expired' };
  }
  const { lost_from: from, lost_to: to } = row;
  return { kind: 'goes_on', lost: from && to ? { from: BigInt(from), to: BigInt(to) } : null };
}

/** Which leaf's rows are right, by whose decision. */
export interface AcceptLeafCountRequest {
  readonly databaseUrl: string;
  /** First position of the leaf; 0 is the default partition. */
  readonly lo: bigint;
  /** The rows of the leaf as the person was shown them. */
  readonly rows: number;
  readonly actor: string;
  readonly reason: string | null;
}

/**
 * `changed`: the leaf has another number of rows than was given. `refused`: the leaf is unknown, not settled, still in
 * use, or locked by somebody at this moment, or a ledger belongs to another server.
 */
export type AcceptLeafCountResult =
  | { readonly kind: 'accepted'; readonly routes: number }
  | { readonly kind: 'fits' | 'changed' }
  | { readonly kind: 'refused'; readonly obstacle: string; readonly route: string | null };

/**
 * Takes the rows that a leaf has for the ones that were read, after `leaf_miscounted` was looked into: the leaf can be
 * emptied then. Audited in the same transaction. Throws `CaptureError`.
 */
export async function acceptLeafCount(request: AcceptLeafCountRequest): Promise<AcceptLeafCountResult> {
  const { databaseUrl, lo, rows, actor, reason } = request;
  const row = await ask(databaseUrl, { text: ACCEPT_LEAF_COUNT_SQL, values: [String(lo), actor, reason, rows] });
  const { verdict, route } = row;
  if (verdict === 'accepted') {
    return { kind: 'accepted', routes: Number(row['routes'] ?? 0) };
  }
  return verdict === 'fits' || verdict === 'changed'
    ? { kind: verdict }
    : { kind: 'refused', obstacle: verdict ?? '', route: route ?? null };
}

/** What one route has counted in a leaf, and what is there from where it began to count. */
export interface LeafCountDifference {
  readonly route: string;
  readonly counted: number;
  readonly found: number;
}

/** `rows` are all rows of the leaf. `refused` as in `AcceptLeafCountResult`. */
export type LeafCountInspection =
  | { readonly kind: 'fits' | 'differs'; readonly rows: number; readonly routes: readonly LeafCountDifference[] }
  | { readonly kind: 'refused'; readonly obstacle: LeafObstacle; readonly route: string | null };

const REFUSES: ReadonlySet<string> = new Set<LeafObstacle>([
  'unknown_leaf',
  'ahead',
  'in_use',
  'identity_changed',
  'held',
]);

/**
 * What `acceptLeafCount` would do now; changes nothing. `routes` are those whose counts differ. Counts the rows: about a
 * second per million. Throws `CaptureError`.
 */
export async function inspectLeafCount(request: {
  readonly databaseUrl: string;
  readonly lo: bigint;
}): Promise<LeafCountInspection> {
  const { databaseUrl, lo } = request;
  return await withConnection(databaseUrl, async (connection) => {
    const { verdict, route } = await new PgRetention(connection).verdictOf(lo, 0);
    if (verdict !== 'ready' && verdict !== 'emptied' && REFUSES.has(verdict)) {
      return { kind: 'refused', obstacle: verdict, route };
    }
    const text = leafCountsSql(lo === DEFAULT_LEAF);
    const counts = await connection.records({ text, values: [String(lo)] });
    const routes = counts
      .filter((row) => row['route'] !== null && row['counted'] !== row['found'])
      .map((row) => ({
        route: column(row, 'route'),
        counted: Number(column(row, 'counted')),
        found: Number(column(row, 'found')),
      }));
    return { kind: routes.length > 0 ? 'differs' : 'fits', rows: Number(counts[0]?.['total'] ?? 0), routes };
  });
}

async function ask(databaseUrl: string, statement: Statement): Promise<Readonly<Record<string, string | null>>> {
  return await withConnection(databaseUrl, async (connection) => {
    const [row] = await connection.records(statement);
    return row ?? {};
  });
}

async function withConnection<T>(databaseUrl: string, use: (connection: PgConnection) => Promise<T>): Promise<T> {
  const connection = new PgConnection({ databaseUrl, applicationName: 'millrace retention admin' });
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}
