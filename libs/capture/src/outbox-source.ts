import { type Epoch } from '@millrace/events';
import { requireSchema, SchemaError } from '@millrace/schema';
import { systemClock } from './capture-clock.js';
import {
  type AuditEntry,
  type CaptureMode,
  type CapturePort,
  type CaptureRequest,
  type ClaimRequest,
  type ClaimResult,
  type PauseRequest,
  type SourcePort,
} from './capture-port.js';
import { type CaptureObserver } from './capture-observer.js';
import { CaptureError, type CaptureErrorCode } from './capture.errors.js';
import { drainingCapture, type DrainingParts, FencedReader } from './draining-capture.js';
import { FirstPage } from './first-page.js';
import { PgForkRepair, type PgForkRepairParts } from './fork/pg-fork-repair.js';
import { type LedgerClaim } from './ledger-store.js';
import { ADOPT_SQL, AUDIT_SQL, PAUSE_SQL, SET_CAPTURE_SQL } from './ledger.sql.js';
import { PgConnection, type Statement } from './pg-connection.js';
import { PgLedgerStore } from './pg-ledger-store.js';
import { PgOutboxReader } from './pg-outbox-reader.js';
import { PgRelayMembers } from './pg-relay-members.js';
import { PgRouteShards } from './pg-route-shards.js';
import { PollingCapture } from './polling-capture.js';
import { DEFAULT_POLLING_OPTIONS, type PollingOptions } from './table-reader.js';
import { type JoinRequest, type RelayMember } from './relay-member.js';
import { type RouteShards, type ShardsRequest } from './route-shards.js';
import { SlotKeeper } from './slot/slot-keeper.js';

/** What a source needs to be read. */
export interface OutboxSourceOptions extends Partial<PollingOptions> {
  readonly name: string;
  readonly databaseUrl: string;
  /** How its routes learn of new rows, unless an operator has said otherwise; default `polling`. */
  readonly capture?: CaptureMode;
  readonly observer?: CaptureObserver;
}

/**
 * A database with an outbox. Each claimed route has two connections of its own, one for reading and
 * one for the ledger, so that pages are read while earlier ones are written off, and no route disturbs another.
 */
export function createOutboxSource(options: OutboxSourceOptions): SourcePort {
  return new OutboxSource(options);
}

class OutboxSource implements SourcePort {
  readonly name: string;
  private readonly firstPages = new Map<string, FirstPage>();
  private readonly members: PgRelayMembers;

  constructor(private readonly options: OutboxSourceOptions) {
    this.name = options.name;
    this.members = new PgRelayMembers(options.name, () => this.connection('members'), checkSchema);
  }

  async claim(request: ClaimRequest): Promise<ClaimResult> {
    const ledgerConnection = this.connection(`${request.route} ledger`);
    const store = new PgLedgerStore(ledgerConnection);
    try {
      await checkSchema(ledgerConnection);
      const claim = await store.claim(request);
      if (claim.kind === 'forked') {
        return this.forked(request, claim, { connection: ledgerConnection, release: () => store.release() });
      }
      if (claim.kind !== 'claimed') {
        await store.release();
        return claim;
      }
      const { fence } = claim;
      const reader = new PgOutboxReader(
        this.connection(`${request.route} reader`),
        request.aggregateTypes,
        request.route,
      );
      const capture = new PollingCapture({
        reader: fence === null ? reader : new FencedReader(reader),
        store,
        clock: systemClock,
        claimed: claim.state,
        options: { ...DEFAULT_POLLING_OPTIONS, ...limitsOf(this.options) },
        firstPage: this.firstPageOf(request.route),
      });
      return {
        kind: 'claimed',
        epoch: claim.epoch,
        isPaused: claim.isPaused,
        fence,
        capture:
          fence === null
            ? capture
            : this.drainingOf(request, claim.epoch, { capture, fence, connection: ledgerConnection }),
      };
    } catch (error) {
      await store.release();
      throw error;
    }
  }

  async setPaused(request: PauseRequest): Promise<void> {
    await changeRoute(this.connection('admin'), request.route, {
      text: PAUSE_SQL,
      values: [request.route, request.isPaused, request.actor, request.reason],
    });
  }

  async setCapture({ route, mode, actor, reason }: CaptureRequest): Promise<void> {
    await changeRoute(this.connection('admin'), route, { text: SET_CAPTURE_SQL, values: [route, mode, actor, reason] });
  }

  setShards(request: ShardsRequest): Promise<RouteShards> {
    return this.withShards((shards) => shards.set(request));
  }

  shards(route: string): Promise<RouteShards> {
    return this.withShards((shards) => shards.read(route));
  }

  async audit({ actor, action, target, reason }: AuditEntry): Promise<void> {
    const connection = this.connection('admin');
    try {
      await checkSchema(connection);
      await connection.records({ text: AUDIT_SQL, values: [actor, action, target, reason] });
    } finally {
      await connection.close();
    }
  }

  join(request: JoinRequest): Promise<readonly RelayMember[]> {
    return this.members.join(request);
  }

  leave(owner: string): Promise<void> {
    return this.members.leave(owner);
  }

  private async withShards<T>(work: (shards: PgRouteShards) => Promise<T>): Promise<T> {
    const connection = this.connection('admin');
    try {
      await checkSchema(connection);
      return await work(new PgRouteShards(connection));
    } finally {
      await connection.close();
    }
  }

  /** The last claim of a shard. */
  private drainingOf(
    { route, shard }: ClaimRequest,
    epoch: Epoch,
    parts: Pick<DrainingParts, 'capture' | 'fence' | 'connection'>,
  ): CapturePort {
    const { databaseUrl } = this.options;
    const keeper = new SlotKeeper({
      databaseUrl,
      applicationName: applicationName(`${route} slot`),
      claim: { route, epoch },
    });
    return drainingCapture({ route: shard?.of ?? route, ledger: route, epoch, keeper, ...parts });
  }

  private forked(
    { route, ttlMs, aggregateTypes }: ClaimRequest,
    { epoch, state, sinceMs }: Extract<LedgerClaim, { kind: 'forked' }>,
    { connection, release }: Pick<PgForkRepairParts, 'connection' | 'release'>,
  ): ClaimResult {
    const reader = new PgOutboxReader(this.connection(`${route} reader`), aggregateTypes);
    const ledger = { route, epoch, ttlMs, state, sinceMs, aggregateTypes };
    return { kind: 'forked', epoch, repair: new PgForkRepair({ ...ledger, connection, reader, release }) };
  }

  private firstPageOf(route: string): FirstPage {
    const known = this.firstPages.get(route) ?? new FirstPage();
    this.firstPages.set(route, known);
    return known;
  }

  private connection(role: string): PgConnection {
    return new PgConnection({ databaseUrl: this.options.databaseUrl, applicationName: applicationName(role) });
  }
}

/** Which ledger an operator takes over to the server it now lives on, and why. */
export interface AdoptRequest {
  readonly databaseUrl: string;
  readonly route: string;
  readonly actor: string;
  readonly reason: string | null;
}

/**
 * Lets a route go on after `identity_changed`, once an operator has compared the outbox with the topic: the ledger
 * takes the server's present identity, and the bounds of its gaps are renewed. Writes the audit row in the same
 * statement. Throws `CaptureError`.
 */
export async function adoptLedger(request: AdoptRequest): Promise<void> {
  const connection = new PgConnection({ databaseUrl: request.databaseUrl, applicationName: applicationName('adopt') });
  await changeRoute(connection, request.route, {
    text: ADOPT_SQL,
    values: [request.route, request.actor, request.reason],
  });
}

function applicationName(role: string): string {
  return `millrace ${role}`.slice(0, 63);
}

async function changeRoute(connection: PgConnection, route: string, statement: Statement): Promise<void> {
  try {
    await checkSchema(connection);
    const [row] = await connection.records(statement);
    if (row?.['routes'] === '0') {
      throw new CaptureError(
        'route_unknown',
        `Route ${route} has no ledger in this database yet; it is made when the route first runs.`,
      );
    }
  } finally {
    await connection.close();
  }
}

function limitsOf(options: OutboxSourceOptions): Partial<PollingOptions> {
  const { pageRowsMax, pageBytesMax, gapRangesMax } = options;
  return {
    ...(pageRowsMax === undefined ? {} : { pageRowsMax }),
    ...(pageBytesMax === undefined ? {} : { pageBytesMax }),
    ...(gapRangesMax === undefined ? {} : { gapRangesMax }),
  };
}

async function checkSchema(connection: PgConnection): Promise<void> {
  try {
    await requireSchema(async (text) => {
      const rows = await connection.records({ text });
      return { rows: rows.map((row) => ({ ...row, version: Number(row['version']) })) };
    });
  } catch (error) {
    throw error instanceof SchemaError ? new CaptureError(schemaCode(error), error.message, { cause: error }) : error;
  }
}

function schemaCode({ code }: SchemaError): CaptureErrorCode {
  return code === 'schema_missing' || code === 'schema_too_old' || code === 'schema_too_new' ? code : 'internal';
}
