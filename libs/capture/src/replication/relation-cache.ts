import { CaptureError } from '../capture.errors.js';
import { malformed } from './byte-cursor.js';
import { type RelationMessage } from './pgoutput-message.js';

/** The columns that make an event, in the order in which a poll selects them. */
const OUTBOX_COLUMNS = [
  'position',
  'id',
  'aggregatetype',
  'aggregateid',
  'type',
  'aggregateversion',
  'schemaversion',
  'payload',
  'headers',
  'occurred_at',
] as const;

/** For each column that a poll selects, in its order: which column of the streamed row it is. */
export type OutboxColumns = readonly number[];

/**
 * What the server has told of the tables in this connection: a relation is announced before its first row, and again
 * after it was altered. Ids hold for one connection, so every connection begins with a cache of its own.
 */
export class RelationCache {
  private readonly relations = new Map<number, { readonly name: string; readonly outbox: OutboxColumns | null }>();

  constructor(private readonly publication: string) {}

  /** Throws `outbox_altered` when the outbox lacks a column that an event needs. */
  announce(relation: RelationMessage): void {
    const name = `${relation.schema}.${relation.name}`;
    const outbox = name === 'millrace.outbox' ? columnsOf(relation) : null;
    this.relations.set(relation.relationId, { name, outbox });
  }

  /**
   * The columns of a row's relation, which must be the outbox. A leaf or another table in the publication means that
   * events may come by another name or not at all: throws `publication_unfit`.
   */
  outboxColumns(relationId: number): OutboxColumns {
    const relation = this.relations.get(relationId);
    if (relation === undefined) {
      throw malformed('a row came of a relation that was not announced');
    }
    if (relation.outbox === null) {
      throw new CaptureError(
        'publication_unfit',
        `Publication ${this.publication} sends rows of ${relation.name}. It must hold millrace.outbox alone, with ` +
          `publish = 'insert' and publish_via_partition_root = true: drop it, and the relay makes it anew.`,
      );
    }
    return relation.outbox;
  }
}

function columnsOf(relation: RelationMessage): OutboxColumns {
  return OUTBOX_COLUMNS.map((name) => {
    const place = relation.columns.findIndex((column) => column.name === name);
    if (place === -1) {
      throw new CaptureError(
        'outbox_altered',
        `Column ${name} of millrace.outbox is not in the replication stream. It was dropped or renamed, or the ` +
          'publication has a list of columns: restore the column, and publish the table without a list.',
      );
    }
    return place;
  });
}
