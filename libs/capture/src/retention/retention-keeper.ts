import { type CaptureClock, systemClock } from '../capture-clock.js';
import { PgConnection } from '../pg-connection.js';
import { ExpiryWatch } from './expiry-watch.js';
import { DEFAULT_LEAF } from './leaf-counts.js';
import { type LeafVerdict, PgRetention } from './pg-retention.js';
import { RetentionAlarms } from './retention-alarms.js';
import {
  type LeafEmptied,
  type LeafWaiting,
  type RetainedLeaf,
  type RetentionAlarm,
  type RetentionObserver,
  type RetentionReport,
  type RouteHold,
} from './retention-observer.js';
import { type RetentionPolicy } from './retention-policy.js';

/** A leaf that is about to be emptied: all its rows are settled, older than the time to keep, and will not change. */
export interface LeafToArchive extends RetainedLeaf {
  readonly rows: number;
}

/**
 * Copies a leaf before it is emptied. When it throws, or its promise rejects, the leaf stays and is offered again at the
 * next run; it may also come again after a success (the leaf was locked, another relay runs retention): it must be
 * repeatable. Reads by short statements, so that it does not hold the leaf; another relay may empty it meanwhile. Ends
 * soon after `signal` is aborted.
 */
export type ArchiveHook = (leaf: LeafToArchive, signal: AbortSignal) => Promise<void>;

/** What retention of one source needs. */
export interface RetentionParts {
  readonly source: string;
  /** Gives a connection that has not been used; each run has one of its own and closes it. */
  readonly connect: () => PgConnection;
  readonly clock: CaptureClock;
  readonly policy: RetentionPolicy;
  readonly observer: RetentionObserver;
  readonly archive?: ArchiveHook;
  /** Asked at each run, whether a leaf is due or not: why nothing can be archived, or `null`. */
  readonly archiveProblem?: () => Promise<string | null>;
  /** How long a route must be seen over a limit before it expires. */
  readonly expiryGraceMs: number;
}

/** What a relay configures of a source's retention. */
export interface RetentionOptions {
  readonly source: string;
  readonly databaseUrl: string;
  readonly policy: RetentionPolicy;
  readonly observer: RetentionObserver;
  readonly archive?: ArchiveHook;
  /** Asked at each run, whether a leaf is due or not: why nothing can be archived, or `null`. */
  readonly archiveProblem?: () => Promise<string | null>;
  /** How long a route must be seen over a limit before it expires; ten minutes. */
  readonly expiryGraceMs?: number;
}

/** How often the relay calls `run`. */
export const RETENTION_INTERVAL_MS = 60_000;

const EXPIRY_GRACE_MS = 600_000;
const DROP_INTERVAL_MS = 60_000;
const LEAVES_LOOKED_AT_MAX = 1_000;
const LEAVES_EMPTIED_MAX = 20;
const LEAVES_DROPPED_MAX = 5;
const WAITING_TOLD_MAX = 20;
/** Behind so many the rest are young as well: a wrong clock has dated the rows of a few leaves at most. */
const YOUNG_LEAVES_MAX = 10;
/** An archive that has refused so many leaves is broken; each costs two counts of its rows. */
const ARCHIVE_FAILURES_MAX = 3;

/** Retention on this process's clock and on connections of its own. */
export function createRetentionKeeper(options: RetentionOptions): RetentionKeeper {
  const { databaseUrl, ...rest } = options;
  return new RetentionKeeper({
    expiryGraceMs: EXPIRY_GRACE_MS,
    ...rest,
    connect: () => new PgConnection({ databaseUrl, applicationName: 'millrace retention' }),
    clock: systemClock,
  });
}

/** What a run collects. */
interface Findings {
  readonly emptied: LeafEmptied[];
  readonly waiting: LeafWaiting[];
  readonly alarms: RetentionAlarm[];
}

/** What the steps of a run share. */
interface Round {
  readonly database: PgRetention;
  readonly found: Findings;
  readonly signal: AbortSignal;
}

/** A run that is under way. */
interface Run {
  readonly report: Promise<RetentionReport>;
  readonly connection: PgConnection;
  readonly cut: AbortController;
}

/** After these later leaves are in the same state, or worse. */
const ENDS_A_RUN: ReadonlySet<LeafVerdict['verdict']> = new Set([
  'ahead',
  'held',
  'busy',
  'not_counted',
  'no_route',
  'identity_changed',
]);

/**
 * Removes history that nobody needs any more: empties leaves of the outbox whose rows are settled by every route that
 * counts, older than the time to keep, and exactly the rows that the routes have read. Never waits for a producer, nor
 * lets one wait. Everything is decided in the database under its locks; any number of relays may run it.
 */
export class RetentionKeeper {
  private readonly expiry: ExpiryWatch;
  private readonly alarms: RetentionAlarms;
  private underWay: Run | null = null;
  private droppedAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly parts: RetentionParts) {
    this.expiry = new ExpiryWatch(parts.policy, parts.expiryGraceMs);
    this.alarms = new RetentionAlarms(parts.observer);
  }

  /**
   * One run, to be called every `RETENTION_INTERVAL_MS`; a call while one is under way shares it. Throws `CaptureError`
   * when the database cannot be asked: what was done stays done, the next run goes on.
   */
  async run(): Promise<RetentionReport> {
    this.underWay ??= this.begin();
    return this.underWay.report;
  }

  /** Cuts off the run that is under way, which then rejects: what it did stays done. Idempotent, safe before `run`. */
  async stop(): Promise<void> {
    const run = this.underWay;
    run?.cut.abort();
    await run?.connection.close();
    await run?.report.catch(() => undefined);
  }

  private begin(): Run {
    const connection = this.parts.connect();
    const cut = new AbortController();
    const runToEnd = async (): Promise<RetentionReport> => {
      try {
        return await this.work(new PgRetention(connection), cut.signal);
      } finally {
        await connection.close();
        this.underWay = null;
      }
    };
    return { report: runToEnd(), connection, cut };
  }

  private async work(database: PgRetention, signal: AbortSignal): Promise<RetentionReport> {
    const { source, policy, observer } = this.parts;
    const found: Findings = { emptied: [], waiting: [], alarms: [] };
    const round = { database, found, signal };
    const routes = await this.expireRoutes(database, await database.routes(policy.keepMs), found);
    // leaves go in a later run than the one that emptied them
    const leavesDropped = await this.dropLeaves(database);
    await this.emptyLeaves(round);
    await this.emptyLeaf(round, DEFAULT_LEAF);
    await database.forgetCheckpoints(policy.keepMs);
    const defaultBytes = await database.defaultBytes();
    if (defaultBytes > 0) {
      found.alarms.push({ source, kind: 'default_partition_not_empty', bytes: defaultBytes });
    }
    const archiveProblem = (await this.parts.archiveProblem?.()) ?? null;
    if (archiveProblem !== null) {
      found.alarms.push({ source, kind: 'archive_missing', problem: archiveProblem });
    }
    this.alarms.set(found.alarms);
    const report = { source, ...found, leavesDropped, defaultBytes, routes };
    observer.ran?.(report);
    return report;
  }

  private async expireRoutes(
    database: PgRetention,
    holds: readonly RouteHold[],
    found: Findings,
  ): Promise<readonly RouteHold[]> {
    const { source, clock } = this.parts;
    const routes: RouteHold[] = [];
    for (const hold of holds) {
      const low = this.expiry.expiringLow(hold, clock.nowMs());
      const isExpired = hold.isExpired || (low !== null && (await this.expire(database, hold.route, low)));
      if (isExpired) {
        found.alarms.push({ source, kind: 'route_expired', route: hold.route });
      } else if (this.expiry.isOver(hold)) {
        const { route, leaves, bytes } = hold;
        found.alarms.push({ source, kind: 'route_over_limit', route, leaves, bytes });
      }
      routes.push({ ...hold, isExpired });
    }
    return routes;
  }

  private async expire(database: PgRetention, route: string, lowSeen: bigint): Promise<boolean> {
    const { source, policy, observer } = this.parts;
    const { verdict, ...hold } = await database.expire(route, policy, lowSeen);
    if (verdict === 'expired') {
      observer.routeExpired?.({ source, route, ...hold });
    }
    return verdict === 'expired' || verdict === 'already_expired';
  }

  private async emptyLeaves(round: Round): Promise<void> {
    const { database, found } = round;
    const leaves = await database.drawnLeaves(LEAVES_LOOKED_AT_MAX);
    for (const { lo } of leaves.filter(({ isEmptied }) => isEmptied)) {
      // a row that turns up there was never read: that is told at once, however young it is
      const answer = await database.verdictOf(lo, 0);
      if (answer.verdict === 'miscounted') {
        this.note(lo, answer, found);
      }
    }
    let youngLeaves = 0;
    for (const { lo } of leaves.filter(({ isEmptied }) => !isEmptied)) {
      const verdict = await this.emptyLeaf(round, lo);
      youngLeaves += verdict === 'young' ? 1 : 0;
      if (ENDS_A_RUN.has(verdict) || youngLeaves >= YOUNG_LEAVES_MAX || isEnough(found)) {
        return;
      }
    }
  }

  private async emptyLeaf(round: Round, lo: bigint): Promise<LeafVerdict['verdict']> {
    const { database, found } = round;
    const { policy } = this.parts;
    const looked = await database.verdictOf(lo, policy.keepMs);
    if (looked.verdict === 'ready' && !(await this.archive(round, lo, looked))) {
      return looked.verdict;
    }
    const isFree = looked.verdict === 'ready' || looked.verdict === 'empty';
    const copied = this.parts.archive === undefined || looked.verdict !== 'ready' ? null : looked.found;
    const answer = isFree ? await database.empty(lo, policy.keepMs, copied) : looked;
    this.note(lo, answer, found);
    return answer.verdict;
  }

  private note(lo: bigint, answer: LeafVerdict, found: Findings): void {
    const { source, observer } = this.parts;
    const { table, last, verdict, route, found: rows } = answer;
    const leaf = { source, table, lo, last };
    if (verdict === 'emptied') {
      found.emptied.push({ ...leaf, rows });
      observer.leafEmptied?.({ ...leaf, rows });
    } else if (verdict !== 'empty' && verdict !== 'ready' && verdict !== 'unknown_leaf') {
      if (found.waiting.length < WAITING_TOLD_MAX) {
        found.waiting.push({ ...leaf, obstacle: verdict, route });
      }
      found.alarms.push(...alarmsOf(leaf, answer));
    }
  }

  /** False when the hook has failed. That tells nothing when another relay has emptied the leaf meanwhile. */
  private async archive({ database, found, signal }: Round, lo: bigint, leaf: LeafVerdict): Promise<boolean> {
    const { source, archive, policy } = this.parts;
    const { table, last, found: rows } = leaf;
    try {
      await archive?.({ source, table, lo, last, rows }, signal);
      return true;
    } catch (error) {
      if ((await database.verdictOf(lo, policy.keepMs)).verdict === 'ready') {
        found.alarms.push({ source, kind: 'archive_failed', table, lo, error });
      }
      return false;
    }
  }

  private async dropLeaves(database: PgRetention): Promise<number> {
    const { source, clock, observer } = this.parts;
    const nowMs = clock.nowMs();
    if (nowMs - this.droppedAtMs < DROP_INTERVAL_MS) {
      return 0;
    }
    this.droppedAtMs = nowMs;
    const leaves = await database.dropEmptyLeaves(LEAVES_DROPPED_MAX);
    if (leaves > 0) {
      observer.leavesDropped?.({ source, leaves });
    }
    return leaves;
  }
}

function isEnough({ emptied, alarms }: Findings): boolean {
  const archiveFailures = alarms.filter(({ kind }) => kind === 'archive_failed').length;
  return emptied.length >= LEAVES_EMPTIED_MAX || archiveFailures >= ARCHIVE_FAILURES_MAX;
}

function alarmsOf(leaf: RetainedLeaf, { verdict, route, found, counted }: LeafVerdict): RetentionAlarm[] {
  const { source, table, lo } = leaf;
  if (verdict === 'miscounted') {
    return [{ source, kind: 'leaf_miscounted', table, lo, route: route ?? '', found, counted }];
  }
  return verdict === 'identity_changed' ? [{ source, kind: 'identity_changed', route: route ?? '' }] : [];
}
