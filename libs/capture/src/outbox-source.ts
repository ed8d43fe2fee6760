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
import { drainingCapture, drainingNews, type DrainingParts, FencedReader } from './draining-capture.js';
import { type EventFilter } from './event-filter.js';
import { FirstPage } from './first-page.js';
import { PgForkRepair, type PgForkRepairParts } from './fork/pg-fork-repair.js';
import { ADOPT_SQL, AUDIT_SQL, PAUSE_SQL, SET_CAPTURE_SQL } from './ledger.sql.js';
import { type LedgerClaim, type LedgerStorePort } from './ledger-store.js';
import { PgConnection, type Statement } from './pg-connection.js';
import { PgLedgerStore } from './pg-ledger-store.js';
import { PgOutboxReader } from './pg-outbox-reader.js';
import { PgRelayMembers } from './pg-relay-members.js';
import { PgRouteShards } from './pg-route-shards.js';
import { PollingCapture, type PollingCaptureParts } from './polling-capture.js';
import { type JoinRequest, type RelayMember } from './relay-member.js';
import { ReplicationStream } from './replication/replication-stream.js';
import { type RouteShards, type ShardsRequest } from './route-shards.js';
import { readFenceMarks } from './slot/fence-reading.js';
import { SlotKeeper, type SlotKeeperParts } from './slot/slot-keeper.js';
import { PUBLICATION_NAME } from './slot/slot-name.js';
import { DEFAULT_POLLING_OPTIONS, type PollingOptions } from './table-reader.js';
import { WalCapture } from './wal-capture.js';

/**
 * Rows of a stream that wait to be taken, and so about what a page has. What lives longer than V8's young generation takes
 * to fill is moved to the old one, and stays there for long as garbage.
 */
const STREAM_BYTES_MAX = 512 * 1024;
/** A server that says nothing on a stream for so long, though asked, is given up. */
const STREAM_SILENCE_MS = 60_000;
/** A repair judges every row that its ledger has not settled. */
const REPAIR_ANSWER_MS = 125_000;

type Claimed = Extract<LedgerClaim, { kind: 'claimed' }>;

/** What every capture of a claim reads with, and the connection that it reads over. */
type SourceParts = PollingCaptureParts & { readonly connection: PgConnection };

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
      const { epoch, isPaused, fence, laneOffsets = [], held } = claim;
      const parts = this.partsOf(request, store, claim);
      const capture =
        fence === null
          ? this.captureOf(request, claim, parts)
          : this.drainingOf(request, claim, { ...parts, fence, connection: ledgerConnection });
      return { kind: 'claimed', epoch, isPaused, fence, capture, laneOffsets, ...(held && { held }) };
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
    await once(this.connection('admin'), async (connection) =>
      connection.records({ text: AUDIT_SQL, values: [actor, action, target, reason] }),
    );
  }

  join(request: JoinRequest): Promise<readonly RelayMember[]> {
    return this.members.join(request);
  }

  leave(owner: string): Promise<void> {
    return this.members.leave(owner);
  }

  private withShards<T>(work: (shards: PgRouteShards) => Promise<T>): Promise<T> {
    return once(this.connection('admin'), (connection) => work(new PgRouteShards(connection)));
  }

  private partsOf(request: ClaimRequest, store: LedgerStorePort, { state: claimed, timeline }: Claimed): SourceParts {
    const { route } = request;
    const connection = this.connection(`${route} reader`);
    return {
      connection,
      reader: new PgOutboxReader(connection, request, route, timeline),
      store,
      clock: systemClock,
      claimed,
      options: { ...DEFAULT_POLLING_OPTIONS, ...limitsOf(this.options) },
      firstPage: this.firstPageOf(route),
    };
  }

  private captureOf(request: ClaimRequest, { epoch, mode }: Claimed, parts: SourceParts): CapturePort {
    const { name: source, databaseUrl, capture = 'polling', observer = {} } = this.options;
    const { route } = request;
    const stream = {
      databaseUrl,
      ...filterOf(request),
      route,
      publication: PUBLICATION_NAME,
      applicationName: applicationName(`${route} stream`),
      bytesMax: STREAM_BYTES_MAX,
      silenceMs: STREAM_SILENCE_MS,
      clock: systemClock,
    };
    return new WalCapture({
      ...parts,
      mode: capture,
      modeSet: mode,
      readFence: (slotLsn) => readFenceMarks(parts.connection, slotLsn),
      openStream: (from) => ReplicationStream.open({ ...stream, ...from }),
      keeperOf: (onState) => this.keeperOf(route, epoch, onState),
      changed: (change) => {
        observer.captureChanged?.({ source, route, ...change });
      },
    });
  }

  /** The last claim of a shard. */
  private drainingOf(
    { route, shard }: ClaimRequest,
    { epoch, mode: modeSet }: Claimed,
    { connection, fence, ...parts }: PollingCaptureParts & Pick<DrainingParts, 'connection' | 'fence'>,
  ): CapturePort {
    const { name: source, capture: mode = 'polling', observer } = this.options;
    const keeper = this.keeperOf(route, epoch, (state) => {
      const news = drainingNews(state);
      if (news !== null) {
        observer?.captureChanged?.({ source, route, ...news });
      }
    });
    const capture = new PollingCapture({ ...parts, reader: new FencedReader(parts.reader) }, { mode, modeSet });
    return drainingCapture({ route: shard?.of ?? route, ledger: route, epoch, capture, fence, connection, keeper });
  }

  private keeperOf(route: string, epoch: Epoch, onState: NonNullable<SlotKeeperParts['onState']>): SlotKeeper {
    const { databaseUrl } = this.options;
    return new SlotKeeper({
      databaseUrl,
      applicationName: applicationName(`${route} slot`),
      claim: { route, epoch },
      onState,
    });
  }

  private forked(
    { route, ttlMs, aggregateTypes }: ClaimRequest,
    { kind, epoch, ...ledger }: Extract<LedgerClaim, { kind: 'forked' }>,
    { connection, release }: Pick<PgForkRepairParts, 'connection' | 'release'>,
  ): ClaimResult {
    const transaction = this.connection(`${route} repair`, REPAIR_ANSWER_MS);
    const parts = { ...ledger, route, epoch, ttlMs, aggregateTypes, connection, transaction, release };
    return { kind, epoch, repair: new PgForkRepair(parts) };
  }

  private firstPageOf(route: string): FirstPage {
    const known = this.firstPages.get(route) ?? new FirstPage();
    this.firstPages.set(route, known);
    return known;
  }

  private connection(role: string, answerTimeoutMs?: number): PgConnection {
    const { databaseUrl } = this.options;
    const limit = answerTimeoutMs === undefined ? {} : { answerTimeoutMs };
    return new PgConnection({ databaseUrl, applicationName: applicationName(role), ...limit });
  }
}

/** Which ledger an operator takes over to the server it now lives on, and why. */
export interface AdoptRequest {
  readonly databaseUrl: string;
  /** With all its shards, or one of them. */
  readonly route: string;
  readonly actor: string;
  readonly reason: string | null;
}

/**
 * Lets a route go on after `identity_changed`, once an operator has compared the outbox with the topic: the ledger
 * takes the server's present identity, and the bounds of its gaps are renewed. Writes the audit row in the same
 * statement. Returns how many ledgers were taken over: 0 when all belong to this server already, and nothing was to do.
 *
 * Throws `CaptureError`: `identity_changed`, and changes nothing, while the route may still be repaired without an
 * operator: no relay has tried on this server, or one is present and has not stopped the route.
 */
export async function adoptLedger({ databaseUrl, route, actor, reason }: AdoptRequest): Promise<number> {
  const connection = new PgConnection({ databaseUrl, applicationName: applicationName('adopt') });
  const [row] = await once(connection, () => connection.records({ text: ADOPT_SQL, values: [route, actor, reason] }));
  if (row?.['ledgers'] === '0') {
    throw routeUnknown(route);
  }
  const repairable = row?.['repairable'] ?? null;
  if (repairable !== null) {
    throw new CaptureError(
      'identity_changed',
      `The ledger of ${repairable} was written on another server or timeline, and no relay has stopped it for that. A ` +
        'relay repairs it by itself and publishes nothing twice: start one and let it run. Adopt the ledger where the relay ' +
        'has stopped the route with identity_changed, or, when its repair begins anew each time, while no relay runs.',
    );
  }
  return Number(row?.['adopted'] ?? 0);
}

function filterOf({ aggregateTypes, eventTypes = null, headerValues = [] }: ClaimRequest): EventFilter {
  return { aggregateTypes, eventTypes, headerValues };
}

function applicationName(role: string): string {
  return `millrace ${role}`.slice(0, 63);
}

async function changeRoute(connection: PgConnection, route: string, statement: Statement): Promise<void> {
  const [row] = await once(connection, () => connection.records(statement));
  if (row?.['routes'] === '0') {
    throw routeUnknown(route);
  }
}

function routeUnknown(route: string): CaptureError {
  return new CaptureError(
    'route_unknown',
    `Route ${route} has no ledger in this database yet; it is made when the route first runs.`,
  );
}

/** A person's act: over a connection of its own, on a schema of this release. */
async function once<T>(connection: PgConnection, work: (connection: PgConnection) => Promise<T>): Promise<T> {
  try {
    await checkSchema(connection);
    return await work(connection);
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
