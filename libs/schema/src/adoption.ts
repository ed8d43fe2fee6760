/** The columns of an outbox table that make an event. Defaults are those of Debezium's outbox event router. */
export interface AdoptColumns {
  /** `table.field.event.id`: the event's identity, a UUID (type uuid or text). Default `id`. */
  readonly id: string;
  /** `route.by.field`: becomes the aggregate type, and so part of the topic. Default `aggregatetype`. */
  readonly routeBy: string;
  /** `table.field.event.key`: becomes the aggregate id, the record's key; any type, as text. Default `aggregateid`. */
  readonly key: string;
  /** `table.field.event.type`: becomes the header `eventType`. Default `type`. */
  readonly type: string;
  /** `table.field.event.payload`: jsonb, json, text or bytea. Default `payload`. */
  readonly payload: string;
  /** `table.field.event.schema.version`: becomes `schemaversion`; null counts as 1. Default: none. */
  readonly schemaVersion: string | null;
  /** Becomes `aggregateversion`. Default: none. */
  readonly aggregateVersion: string | null;
}

/**
 * `table.fields.additional.placement` `column:header:name`: a column as text in a header; left out where it is null.
 */
export interface AdoptHeader {
  readonly column: string;
  readonly name: string;
}

/**
 * What becomes of the rows that are there when the trigger is made. `skip`: another relay has published or will publish
 * them. `copy`: they go into the outbox first, by the values of a column that is never null and never changes.
 */
export type ExistingRows = { readonly kind: 'skip' } | { readonly kind: 'copy'; readonly orderBy: string };

/** Which table is adopted, and how. */
export interface AdoptRequest {
  /** `schema.table`, written as in SQL. */
  readonly table: string;
  readonly columns?: Partial<AdoptColumns>;
  readonly headers?: readonly AdoptHeader[];
  /**
   * `json` (default): the payload must be JSON and is published as such. `string`: text, published as a JSON string.
   */
  readonly payloadAs?: 'json' | 'string';
  /** Must be given when the table has rows. */
  readonly existing?: ExistingRows;
  /**
   * A publication from which the table is taken in the same transaction that makes the trigger: whoever reads that
   * publication gets every row before, Millrace every row after, nobody both.
   */
  readonly leavePublication?: string;
  /** Who asks, for the audit trail. */
  readonly actor: string;
}

/** How long to try, and at what cost for producers. */
export interface AdoptOptions {
  /** How long producers may be kept waiting at a time; default 100. */
  readonly lockWaitMs?: number;
  /** How long to try for the lock altogether before `table_busy`; default 60,000. */
  readonly waitMs?: number;
  /** Rows in one transaction of the copy; default 2,000. */
  readonly chunkRows?: number;
  /** Called after each chunk with the number of older rows copied so far. */
  readonly onCopied?: (rows: number) => void;
}

/** What was found and done. `findings` are sentences for the operator that call for no refusal. */
export interface AdoptResult {
  /** As `schema.table`. */
  readonly table: string;
  /** `adopted`: now; `changed`: it was, now with other columns or a trigger mended; `unchanged`: it was. */
  readonly outcome: 'adopted' | 'changed' | 'unchanged';
  /** Older rows that were copied, in this run and in earlier ones. */
  readonly copied: number;
  readonly findings: readonly string[];
  /** An LSN after the moment of adoption: a relay that has confirmed it has read all older rows. */
  readonly lsn: string;
}

/** What `adoptTable` would find and run. */
export interface AdoptPlan {
  readonly table: string;
  readonly findings: readonly string[];
  /** Then a first adoption must say what is to become of them. */
  readonly hasRows: boolean;
  /** A script for psql that does the same for `existing: skip`. */
  readonly script: string;
}

/** A table that is no longer to be adopted. */
export interface ReleaseRequest {
  readonly table: string;
  readonly actor: string;
}

/** What a release did. */
export interface ReleaseResult {
  readonly table: string;
  /** False: the table was not adopted. */
  readonly isReleased: boolean;
}
