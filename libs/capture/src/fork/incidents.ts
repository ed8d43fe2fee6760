import { PgConnection } from '../pg-connection.js';
import { columnReader } from '../required-text.js';

const column = columnReader('The reading of incidents');

/** Where an event is that only the topics have. 64-bit numbers are decimal text. */
export interface LostEvent {
  readonly position: string;
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

/**
 * Something that went wrong for good, and that a person should know. `events_lost_by_database`: events that were published
 * and that the database lost, by a fail-over to a standby without the last commits, or a restore. Consumers have them.
 */
export interface Incident {
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  readonly kind: 'events_lost_by_database';
  readonly route: string;
  /** All of them. */
  readonly count: number;
  /** The first thousand, by position. */
  readonly events: readonly LostEvent[];
}

/** Which incidents to read. */
export interface IncidentsRequest {
  readonly databaseUrl: string;
  readonly limit: number;
}

const INCIDENTS_SQL = `select id::text as id, kind, route, count::text as count, details -> 'events' as events,
  to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
from millrace.incident i order by i.id desc limit $1`;

/** The incidents of a database, the newest first. Throws `CaptureError`. */
export async function readIncidents({ databaseUrl, limit }: IncidentsRequest): Promise<readonly Incident[]> {
  const connection = new PgConnection({ databaseUrl, applicationName: 'millrace incidents' });
  try {
    const rows = await connection.records({ text: INCIDENTS_SQL, values: [limit] });
    return rows.map((row) => ({
      id: column(row, 'id'),
      at: column(row, 'at'),
      kind: 'events_lost_by_database',
      route: column(row, 'route'),
      count: Number(column(row, 'count')),
      events: JSON.parse(column(row, 'events')) as readonly LostEvent[],
    }));
  } finally {
    await connection.close();
  }
}
