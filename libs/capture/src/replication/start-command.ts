import pg from 'pg';
import { formatLsn } from '../lsn.js';

/** What to stream. */
export interface StreamRequest {
  readonly slot: string;
  readonly publication: string;
  /** Transactions that end at or below it are not sent; nor are those below what the slot has confirmed. */
  readonly startLsn: bigint;
}

/**
 * The command that begins a stream of whole, committed transactions with the messages of `pg_logical_emit_message`.
 * Names are quoted: the publication as an identifier within a literal.
 */
export function startCommand(request: StreamRequest): string {
  const publication = quoted(pg.escapeIdentifier(request.publication));
  return (
    `START_REPLICATION SLOT ${pg.escapeIdentifier(request.slot)} LOGICAL ${formatLsn(request.startLsn)} ` +
    `(proto_version '1', publication_names ${publication}, messages 'true')`
  );
}

/** A literal in the grammar of replication commands, which has no backslash escapes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
