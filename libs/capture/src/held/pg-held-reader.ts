import { toEventId, toPosition } from '@millrace/events';
import { type PgConnection, type TextColumns, type TextRow } from '../pg-connection.js';
import { printedRow } from '../polled-row.js';
import { cellReader, columnReader } from '../required-text.js';
import { CHAINS_SQL, HELD_KEYS_SQL } from './held.sql.js';
import { type ChainEvent, type ChainRequest, type HeldReader, type StoredHeldKey } from './held-events.js';

const column = columnReader('A reading of held keys');
const cell = cellReader('A reading of held events');

/** What is held of one route, in the source's own database. Contract: `HeldReader`. */
export class PgHeldReader implements HeldReader {
  constructor(
    private readonly connection: PgConnection,
    /** As a whole, whichever of its shards asks. */
    private readonly route: string,
  ) {}

  async keys(): Promise<readonly StoredHeldKey[]> {
    const rows = await this.connection.records({ text: HELD_KEYS_SQL, values: [this.route] });
    return rows.map(storedKey);
  }

  async chains({ keys, eventsMax, bytesMax }: ChainRequest): Promise<readonly ChainEvent[]> {
    const types = keys.map(({ aggregateType }) => aggregateType);
    const ids = keys.map(({ aggregateId }) => aggregateId);
    const rows = await this.connection.rows({
      text: CHAINS_SQL,
      values: [this.route, types, ids, eventsMax, bytesMax],
    });
    return rows.map(chainEvent);
  }
}

function storedKey(row: TextColumns): StoredHeldKey {
  const { due_in_ms: dueInMs = null } = row;
  return {
    aggregateType: column(row, 'aggregatetype'),
    aggregateId: column(row, 'aggregateid'),
    dueInMs: dueInMs === null ? null : Number(dueInMs),
    attempts: Number(column(row, 'attempts')),
    refusal: { code: column(row, 'code'), reason: column(row, 'reason') },
    events: Number(column(row, 'events')),
    bytes: Number(column(row, 'bytes')),
    ageMs: Number(column(row, 'age_ms')),
  };
}

function chainEvent(row: TextRow): ChainEvent {
  const bytes = Number(cell(row, 10));
  return {
    position: toPosition(cell(row, 0)),
    id: toEventId(cell(row, 1)),
    aggregateType: cell(row, 2),
    aggregateId: cell(row, 3),
    bytes,
    event: printedRow(row, bytes, null).event,
  };
}
