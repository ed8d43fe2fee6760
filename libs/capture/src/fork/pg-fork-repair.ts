import { type Epoch, type Position } from '@millrace/events';
import { CaptureError } from '../capture.errors.js';
import { type LedgerState } from '../ledger.js';
import { type OutboxReaderPort } from '../outbox-reader.js';
import { type PgConnection, type Statement, type TextColumns } from '../pg-connection.js';
import { columnReader } from '../required-text.js';
import { type ForkRepair, type ForkReport, type ForkStep, type PublishedRecord } from './fork-repair.js';
import { BEGIN_SQL, BOUND_SQL, COMPLETE_SQL, KEEP_SQL, RENEW_SQL, RESERVE_SQL } from './fork.sql.js';
import { isOpen } from './open-positions.js';

const column = columnReader('A statement of the fork repair');

/** What a repair works with. */
export interface PgForkRepairParts {
  readonly connection: PgConnection;
  /** Tells who may still insert. */
  readonly reader: Pick<OutboxReaderPort, 'writers' | 'close'>;
  readonly route: string;
  readonly epoch: Epoch;
  readonly ttlMs: number;
  readonly sinceMs: number;
  /** Of the ledger, as it was restored. */
  readonly state: LedgerState;
  readonly aggregateTypes: readonly string[] | null;
  /** Gives the lease back and closes the connection. */
  readonly release: () => Promise<void>;
}

/** A block of positions that nobody else draws; writers with an xid below `bound` may still hold lower ones. */
interface Reserved {
  readonly base: string;
  readonly bound: bigint;
}

/** Contract: `ForkRepair`. Everything is decided in the database, by functions of its schema. */
export class PgForkRepair implements ForkRepair {
  readonly epoch: Epoch;
  readonly sinceMs: number;
  private seen: bigint = 0n;
  private reserved: Reserved | null = null;

  constructor(private readonly parts: PgForkRepairParts) {
    this.epoch = parts.epoch;
    this.sinceMs = parts.sinceMs;
  }

  async begin(): Promise<void> {
    this.seen = 0n;
    this.reserved = null;
    await this.guarded(BEGIN_SQL);
  }

  async keep(records: readonly PublishedRecord[]): Promise<void> {
    for (const { position, low } of records) {
      this.see(position);
      this.see(low);
    }
    const open = records.filter(({ position }) => isOpen(this.parts.state, position));
    await this.guarded(KEEP_SQL, [
      open.map(({ position }) => String(position)),
      open.map(({ id }) => id),
      open.map(({ topic }) => topic),
      open.map(({ partition }) => partition),
      open.map(({ offset }) => String(offset)),
      open.map(({ isOwn }) => isOwn),
    ]);
  }

  async renew(): Promise<void> {
    await this.guarded(RENEW_SQL);
  }

  async complete(): Promise<ForkStep> {
    this.reserved ??= await this.reserve();
    await this.renew();
    const { oldestXid, oldest } = await this.parts.reader.writers();
    if (oldestXid === 'unknown' || (oldestXid !== null && oldestXid < this.reserved.bound)) {
      return { kind: 'waiting', holder: oldest ?? 'a transaction that began to insert' };
    }
    const { route, epoch, aggregateTypes } = this.parts;
    const values = [route, String(epoch), aggregateTypes, String(this.seen), this.reserved.base];
    const row = await this.one({ text: COMPLETE_SQL, values });
    if (row['verdict'] === 'overtaken') {
      this.reserved = null;
      return { kind: 'waiting', holder: 'the repair of another route' };
    }
    return { kind: 'repaired', report: this.reportOf(row) };
  }

  async close(): Promise<void> {
    await Promise.all([this.parts.release(), this.parts.reader.close()]);
  }

  private see(position: Position): void {
    this.seen = position > this.seen ? position : this.seen;
  }

  private async reserve(): Promise<Reserved> {
    const { route, epoch } = this.parts;
    const block = await this.one({ text: RESERVE_SQL, values: [route, String(epoch), String(this.seen)] });
    if (block['base'] === null) {
      throw this.fenced();
    }
    const { bound } = await this.one({ text: BOUND_SQL });
    return { base: column(block, 'base'), bound: BigInt(bound ?? 0) };
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

  private async guarded(text: string, values: readonly unknown[] = []): Promise<void> {
    const { connection, route, epoch, ttlMs } = this.parts;
    const rows = await connection.records({ text, values: [route, String(epoch), ttlMs, ...values] });
    if (rows.length === 0) {
      throw this.fenced();
    }
  }

  private async one(statement: Statement): Promise<TextColumns> {
    const [row] = await this.parts.connection.records(statement);
    return row ?? {};
  }

  private fenced(): CaptureError {
    return new CaptureError('fenced', `Route ${this.parts.route} has been taken over while its fork was repaired.`);
  }
}
