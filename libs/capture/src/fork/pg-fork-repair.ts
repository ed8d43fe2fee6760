import { type Epoch, type Position } from '@millrace/events';
import { CaptureError } from '../capture.errors.js';
import { type LedgerState } from '../ledger.js';
import { type PgConnection, type Statement, type TextColumns } from '../pg-connection.js';
import { PgOutboxReader } from '../pg-outbox-reader.js';
import { columnReader } from '../required-text.js';
import { type ForkRepair, type ForkReport, type ForkStep, type PublishedRecord } from './fork-repair.js';
import { BEGIN_SQL, BOUND_SQL, COMPLETE_SQL, KEEP_SQL, OPEN_SQL, RENEW_SQL, RESERVE_SQL } from './fork.sql.js';
import { isOpen } from './open-positions.js';

const column = columnReader('A statement of the fork repair');

/** What a repair works with. */
export interface PgForkRepairParts {
  /** For what stands by itself: records, lease, bound. */
  readonly connection: PgConnection;
  /** For the one transaction in which positions are reserved, waited for and used. */
  readonly transaction: PgConnection;
  readonly route: string;
  readonly epoch: Epoch;
  /** On which the route was claimed. */
  readonly timeline: bigint;
  readonly ttlMs: number;
  readonly sinceMs: number;
  /** Of the ledger, as it was restored. */
  readonly state: LedgerState;
  readonly aggregateTypes: readonly string[] | null;
  /** Gives the lease back and closes `connection`. */
  readonly release: () => Promise<void>;
}

/** A block of positions that nobody else draws; writers with an xid below `bound` may still hold lower ones. */
interface Reserved {
  readonly base: string;
  readonly room: string;
  readonly bound: bigint;
}

/** Contract: `ForkRepair`. Everything is decided in the database, by functions of its schema. */
export class PgForkRepair implements ForkRepair {
  readonly epoch: Epoch;
  readonly sinceMs: number;
  private readonly outbox: PgOutboxReader;
  private seen: bigint = 0n;
  private kept = 0;
  private reserved: Reserved | null = null;

  constructor(private readonly parts: PgForkRepairParts) {
    this.epoch = parts.epoch;
    this.sinceMs = parts.sinceMs;
    this.outbox = new PgOutboxReader(parts.transaction, parts);
  }

  async begin(): Promise<void> {
    this.seen = 0n;
    this.kept = 0;
    await this.giveUpBlock();
    await this.guarded(BEGIN_SQL);
  }

  async keep(records: readonly PublishedRecord[]): Promise<void> {
    for (const { position, low } of records) {
      this.see(position);
      this.see(low);
    }
    const open = records.filter(({ position }) => isOpen(this.parts.state, position));
    const row = await this.guarded(KEEP_SQL, [
      open.map(({ position }) => String(position)),
      open.map(({ id }) => id),
      open.map(({ topic }) => topic),
      open.map(({ partition }) => partition),
      open.map(({ offset }) => String(offset)),
      open.map(({ isOwn }) => isOwn),
    ]);
    this.kept += Number(column(row, 'kept'));
  }

  async renew(): Promise<void> {
    await this.guarded(RENEW_SQL);
  }

  async complete(): Promise<ForkStep> {
    await this.renew();
    this.reserved ??= await this.reserve();
    if (this.reserved === null) {
      return { kind: 'waiting', holder: 'the repair of another route' };
    }
    const { base, room, bound } = this.reserved;
    const { oldestXid, oldest } = await this.outbox.writers();
    if (oldestXid === 'unknown' || (oldestXid !== null && oldestXid < bound)) {
      return { kind: 'waiting', holder: oldest ?? 'a transaction that began to insert' };
    }
    const { route, epoch, aggregateTypes, transaction } = this.parts;
    const values = [route, String(epoch), aggregateTypes, String(this.seen), base, room];
    const row = await this.one({ text: COMPLETE_SQL, values });
    if (row['verdict'] === 'crowded') {
      await this.giveUpBlock();
      return { kind: 'waiting', holder: 'one that wrote more events than were expected, and has ended' };
    }
    const report = this.reportOf(row);
    await transaction.run('commit');
    return { kind: 'repaired', report };
  }

  async close(): Promise<void> {
    await Promise.all([this.parts.release(), this.parts.transaction.close()]);
  }

  private see(position: Position): void {
    this.seen = position > this.seen ? position : this.seen;
  }

  /** `null`: another repair has its block, and is first. */
  private async reserve(): Promise<Reserved | null> {
    const { route, epoch, timeline, aggregateTypes, connection, transaction } = this.parts;
    await transaction.run(OPEN_SQL);
    const values = [route, String(epoch), String(timeline), aggregateTypes, String(this.seen), this.kept];
    const block = await this.one({ text: RESERVE_SQL, values });
    if (block['verdict'] === 'queued') {
      await transaction.run('rollback');
      return null;
    }
    if (block['verdict'] !== 'reserved') {
      throw this.fenced();
    }
    // of another transaction, begun after the block was there
    const [row] = await connection.records({ text: BOUND_SQL });
    return { base: column(block, 'base'), room: column(block, 'room'), bound: BigInt(column(row ?? {}, 'bound')) };
  }

  private async giveUpBlock(): Promise<void> {
    if (this.reserved !== null) {
      this.reserved = null;
      await this.parts.transaction.run('rollback');
    }
  }

  private reportOf(row: TextColumns): ForkReport {
    if (row['verdict'] !== 'repaired') {
      throw this.fenced();
    }
    return {
      found: Number(column(row, 'found')),
      moved: Number(column(row, 'moved')),
      lost: Number(column(row, 'lost')),
      incident: row['incident'] ?? null,
    };
  }

  private async guarded(text: string, values: readonly unknown[] = []): Promise<TextColumns> {
    const { connection, route, epoch, ttlMs } = this.parts;
    const [row] = await connection.records({ text, values: [route, String(epoch), ttlMs, ...values] });
    if (row === undefined) {
      throw this.fenced();
    }
    return row;
  }

  private async one(statement: Statement): Promise<TextColumns> {
    const [row] = await this.parts.transaction.records(statement);
    return row ?? {};
  }

  private fenced(): CaptureError {
    return new CaptureError(
      'fenced',
      `Route ${this.parts.route} has been taken over, or its database was lost once more, while its fork was repaired.`,
    );
  }
}
