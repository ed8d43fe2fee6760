import type pg from 'pg';
import { SinkError } from '../transport.errors.js';
import { toSinkError } from './postgres-errors.js';

/** How to reach a database that takes deliveries. Times in milliseconds. */
export interface DeliveryDatabaseOptions {
  readonly databaseUrl: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly connectionsMax: number;
  /** No statement takes longer, on the server's side; the answer is waited for a second longer. */
  readonly statementMs: number;
  /**
   * When a connection breaks while nothing is asked, all further statements fail until `close`: behind the same address
   * there may be another server now, of which what is known from before does not hold. Default false.
   */
  readonly isOneSession?: boolean;
}

/** Columns by name: numbers of 32 bits as numbers, bytea as Buffers, all else as the text that PostgreSQL sends. */
export type DeliveryRow = Readonly<Record<string, unknown>>;

const CONNECT_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 2_000;
const ANSWER_MARGIN_MS = 1_000;

/**
 * Connections to a database that takes deliveries, each statement in autocommit. The driver is an optional peer
 * dependency, loaded at the first statement. A connection on which anything failed is not used again. All errors are
 * `SinkError`.
 */
export class DeliveryDatabase {
  #pool: Promise<pg.Pool> | undefined;
  #isBroken = false;

  constructor(private readonly options: DeliveryDatabaseOptions) {}

  /** With a name the statement is prepared once per connection. */
  async rows(text: string, values: readonly unknown[], name?: string): Promise<readonly DeliveryRow[]> {
    const query: pg.QueryConfig = { text, values: [...values], ...(name === undefined ? {} : { name }) };
    if (this.#isBroken) {
      throw new SinkError('unavailable', 'The connection to the database was lost.');
    }
    try {
      this.#pool ??= openPool(this.options, () => {
        this.#isBroken = this.options.isOneSession ?? false;
      });
      const { rows } = await (await this.#pool).query<Record<string, unknown>>(query);
      return rows;
    } catch (error) {
      throw toSinkError(error);
    }
  }

  /** Waits for what runs, two seconds at most. Statements after it open connections anew. */
  async close(): Promise<void> {
    const pool = await this.#pool?.catch(() => undefined);
    this.#pool = undefined;
    this.#isBroken = false;
    if (pool !== undefined) {
      await closed(pool);
    }
  }
}

/**
 * What was acknowledged must outlive a crash of the server, whatever its default is. A plan that was made while the log was
 * empty must not read all of it later. Behind a transaction pooler set these on the role instead.
 */
function settingsOf(statementMs: number): string {
  return `set synchronous_commit = on; set statement_timeout = ${statementMs}; set enable_seqscan = off; set jit = off;
set default_transaction_isolation = 'read committed'; set idle_in_transaction_session_timeout = ${statementMs}`;
}

async function openPool(
  { databaseUrl, applicationName, connectionsMax, statementMs }: DeliveryDatabaseOptions,
  onBroken: () => void,
): Promise<pg.Pool> {
  assertPostgresUrl(databaseUrl);
  const driver = await loadDriver();
  const pool = new driver.Pool({
    connectionString: databaseUrl,
    application_name: applicationName.slice(0, 63),
    max: connectionsMax,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 0,
    query_timeout: statementMs + ANSWER_MARGIN_MS,
    keepAlive: true,
    // runs once, before a new connection is handed out
    verify: (client, done) => {
      client.query(settingsOf(statementMs)).then(() => {
        done();
      }, done);
    },
  });
  // without listeners a connection that breaks would end the process; a statement on it reports it by itself
  pool.on('error', onBroken);
  pool.on('connect', (client) => {
    client.on('error', () => undefined);
  });
  return pool;
}

/** A server that is frozen or out of reach never answers the goodbye: it is waited for no longer. */
async function closed(pool: pg.Pool): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
  });
  await Promise.race([pool.end().catch(() => undefined), late]);
  clearTimeout(timer);
}

async function loadDriver(): Promise<typeof pg> {
  try {
    return (await import('pg')).default;
  } catch (error) {
    throw new SinkError('configuration', 'The package pg is not installed: npm install pg@8.', { cause: error });
  }
}

/** Throws `SinkError` `configuration` for what is no URL of a PostgreSQL; never with the URL, which has a password. */
export function assertPostgresUrl(databaseUrl: string): void {
  const protocol = URL.canParse(databaseUrl) ? new URL(databaseUrl).protocol : '';
  if (protocol !== 'postgres:' && protocol !== 'postgresql:') {
    throw new SinkError(
      'configuration',
      'databaseUrl is not a PostgreSQL URL: it must look like postgres://user:password@host:5432/database.',
    );
  }
}
