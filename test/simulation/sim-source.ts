import {
  type AuditEntry,
  CaptureError,
  type CaptureRequest,
  type ClaimedHeld,
  type ClaimRequest,
  type ClaimResult,
  FirstPage,
  type JoinRequest,
  type LedgerClaim,
  type LedgerClaimRequest,
  type LedgerNotes,
  type LedgerSaved,
  type LedgerState,
  type LedgerStorePort,
  type OutboxReaderPort,
  type OutboxWriters,
  type PauseRequest,
  PollingCapture,
  type PollRequest,
  type PollResult,
  type RelayMember,
  type RouteShards,
  type SequenceReading,
  type ShardsRequest,
  type SourcePort,
} from '@millrace/capture';
import { type Epoch, type Position, toPosition } from '@millrace/events';
import { type Network } from './network.js';
import { type SimDatabase } from './sim-database.js';
import { type SimProcess } from './sim-process.js';

const CALL_TIMEOUT_MS = 4_000;

/** What a process reads its database with. */
export interface SimSourceParts {
  readonly process: SimProcess;
  readonly network: Network;
  readonly database: SimDatabase;
  readonly pageRowsMax: number;
  readonly gapRangesMax: number;
  /** Events can be held. */
  readonly canHold: boolean;
}

/** One connection: requests arrive in the order in which they were made, and none after it has broken. */
class SimConnection {
  private readonly generation: number;
  private lastArrivalMs = 0;
  private isBroken = false;

  constructor(private readonly parts: SimSourceParts) {
    this.generation = parts.database.generation;
  }

  async ask<T>(serve: () => T): Promise<T> {
    const { process, network, database } = this.parts;
    if (this.isBroken) {
      throw unavailable();
    }
    const there = network.travel('database', this.lastArrivalMs);
    this.lastArrivalMs = there === 'lost' ? this.lastArrivalMs : network.nowMs + there;
    const back = network.travel('database', 0);
    try {
      return await process.call({
        there,
        back,
        timeoutMs: CALL_TIMEOUT_MS,
        timeoutError: unavailable,
        serve: () => {
          if (!database.isUp || database.generation !== this.generation) {
            throw unavailable();
          }
          return serve();
        },
      });
    } catch (error) {
      this.isBroken ||= error instanceof CaptureError && error.code === 'database_unavailable';
      throw error;
    }
  }
}

function unavailable(): CaptureError {
  return new CaptureError('database_unavailable', 'The simulated database cannot be reached.');
}

class SimReader implements OutboxReaderPort {
  private readonly connection: SimConnection;

  constructor(private readonly parts: SimSourceParts) {
    this.connection = new SimConnection(parts);
  }

  poll(request: PollRequest): Promise<PollResult> {
    return this.connection.ask(() => this.parts.database.poll(request));
  }

  flushedLsn(): Promise<bigint> {
    return this.connection.ask(() => this.parts.database.flushedLsn());
  }

  forceFlush(): Promise<void> {
    return this.connection.ask(() => {
      this.parts.database.forceFlush();
    });
  }

  writers(): Promise<OutboxWriters> {
    return this.connection.ask(() => this.parts.database.writers());
  }

  sequence(): Promise<SequenceReading> {
    return this.connection.ask(() => {
      const lastPosition = toPosition(this.parts.database.lastPosition);
      return { cache: 1n, increment: 1n, isCycling: false, lastPosition, leavesAhead: 10 };
    });
  }

  ensureLeaves(): Promise<void> {
    return this.connection.ask(() => undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class SimLedgerStore implements LedgerStorePort {
  private readonly connection: SimConnection;
  private held: { readonly route: string; readonly epoch: Epoch; readonly ttlMs: number } | null = null;
  private stored: LedgerState | null = null;

  constructor(private readonly parts: SimSourceParts) {
    this.connection = new SimConnection(parts);
  }

  async claim(request: LedgerClaimRequest): Promise<LedgerClaim> {
    const { database, canHold } = this.parts;
    const { claim, revision } = await this.connection.ask(() => {
      return { claim: database.claim(request), revision: database.held.revision };
    });
    if (claim.kind === 'claimed') {
      this.held = { route: request.route, epoch: claim.epoch, ttlMs: request.ttlMs };
      this.stored = claim.state;
    }
    return claim.kind === 'claimed' && canHold ? { ...claim, held: await this.heldSince(revision) } : claim;
  }

  /** Read after the epoch was won, by a statement of its own. */
  private async heldSince(revision: bigint): Promise<ClaimedHeld> {
    const { connection } = this;
    const { database } = this.parts;
    return {
      revision,
      stored: await connection.ask(() => database.held.stored()),
      keys: () => connection.ask(() => database.held.stored()),
      chains: (request) => connection.ask(() => database.chains(request)),
    };
  }

  async save(
    next: LedgerState,
    _taken: readonly (readonly Position[])[],
    _unsettledMs: number,
    notes: LedgerNotes = {},
  ): Promise<LedgerSaved> {
    const { held, stored } = this;
    if (held === null || stored === null) {
      throw new CaptureError('fenced', 'Not held.');
    }
    const saved = await this.connection.ask(() => this.parts.database.save(held, { stored, next, notes }));
    this.stored = next;
    return saved;
  }

  async release(): Promise<void> {
    const { held } = this;
    this.held = null;
    if (held !== null) {
      await this.connection
        .ask(() => {
          this.parts.database.release(held.route, held.epoch);
        })
        .catch(() => undefined);
    }
  }
}

/** The real polling capture over the simulated database, as one process sees it. */
export class SimSource implements SourcePort {
  readonly name = 'db';
  private readonly firstPage = new FirstPage();
  private members: SimConnection | null = null;

  constructor(private readonly parts: SimSourceParts) {}

  async claim(request: ClaimRequest): Promise<ClaimResult> {
    const store = new SimLedgerStore(this.parts);
    const claim = await store.claim(request);
    if (claim.kind === 'forked') {
      throw new CaptureError('internal', 'The simulated database never fails over.');
    }
    if (claim.kind !== 'claimed') {
      return claim;
    }
    const { process, pageRowsMax, gapRangesMax } = this.parts;
    const capture = new PollingCapture({
      reader: new SimReader(this.parts),
      store,
      clock: { nowMs: () => process.clock.monotonicMs(), sleep: (ms) => process.sleep(ms) },
      claimed: claim.state,
      options: { pageRowsMax, pageBytesMax: 1_000_000, gapRangesMax },
      firstPage: this.firstPage,
    });
    const { epoch, isPaused, laneOffsets = [], held } = claim;
    return { kind: 'claimed', epoch, isPaused, fence: null, capture, laneOffsets, ...(held && { held }) };
  }

  setPaused({ route, isPaused }: PauseRequest): Promise<void> {
    return new SimConnection(this.parts).ask(() => {
      this.parts.database.setPaused(route, isPaused);
    });
  }

  setCapture({ route }: CaptureRequest): Promise<void> {
    return Promise.reject(new Error(`Nobody changes how ${route} is captured here.`));
  }

  setShards({ route }: ShardsRequest): Promise<RouteShards> {
    return this.shards(route);
  }

  shards(route: string): Promise<RouteShards> {
    return Promise.reject(new Error(`Nobody divides ${route} here.`));
  }

  audit(entry: AuditEntry): Promise<void> {
    return Promise.reject(new Error(`Nobody does ${entry.action} here.`));
  }

  async join(request: JoinRequest): Promise<readonly RelayMember[]> {
    this.members ??= new SimConnection(this.parts);
    try {
      return await this.members.ask(() => this.parts.database.members.join(request));
    } catch (error) {
      this.members = null;
      throw error;
    }
  }

  leave(owner: string): Promise<void> {
    return (this.members ?? new SimConnection(this.parts)).ask(() => {
      this.parts.database.members.leave(owner);
    });
  }
}
