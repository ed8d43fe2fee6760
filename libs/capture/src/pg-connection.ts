import pg from 'pg';
import { CaptureError, type CaptureErrorCode } from './capture.errors.js';
import { sqlStateOf } from './sql-state.js';

/** Values come as the text that PostgreSQL sends: positions are 64 bits wide and payloads stay as they are. */
const TEXT_TYPES = { getTypeParser: () => (value: string | Buffer) => value };

const CONNECT_TIMEOUT_MS = 10_000;
/** Both lie below the 30 s that a route waits for a page, so that it hears what was wrong. */
const STATEMENT_TIMEOUT_MS = 20_000;
const ANSWER_TIMEOUT_MS = 25_000;
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * Local flush is what the ledger and the flush gate need; a missing synchronous standby must not hang the relay. A
 * custom plan opens only the leaves that a poll can touch. Behind a transaction pooler set these on the role instead.
 */
const SESSION_SETTINGS = `set synchronous_commit = local; set datestyle = 'ISO, YMD'; set plan_cache_mode = force_custom_plan; set jit = off;
set enable_seqscan = off; set lock_timeout = '5s'; set statement_timeout = ${STATEMENT_TIMEOUT_MS};
set idle_in_transaction_session_timeout = '10s'`;

/** How to reach a source's database. */
export interface PgConnectionOptions {
  readonly databaseUrl: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** How long an answer may take in milliseconds; 25,000 when this is left out. */
  readonly answerTimeoutMs?: number;
  /** Closes the connection when it aborts; what runs on it then rejects. */
  readonly signal?: AbortSignal | undefined;
}

/** One row as text columns in the order of the select list. */
export type TextRow = readonly (string | null)[];

/** One row as text columns by name. */
export type TextColumns = Readonly<Record<string, string | null>>;

/** One statement; with a name it is prepared once per connection. */
export interface Statement {
  readonly text: string;
  readonly name?: string;
  readonly values?: readonly unknown[];
}

/**
 * One connection to the producer's database that connects at its first statement and never again. Statements run one at
 * a time, in autocommit unless one of them is `begin`; every error is a `CaptureError`. After an answer that did not
 * come the connection is cut, and further statements fail at once.
 */
export class PgConnection {
  private client: Promise<pg.Client> | undefined;
  private isClosed = false;
  private last: Promise<unknown> = Promise.resolve();
  private readonly cut = (): void => void this.close();

  constructor(private readonly options: PgConnectionOptions) {
    const { signal } = options;
    this.isClosed = signal?.aborted === true;
    signal?.addEventListener('abort', this.cut);
  }

  /** Rows as arrays of text. */
  rows(statement: Statement): Promise<readonly TextRow[]> {
    return this.inTurn(async (client) => {
      const { rows } = await client.query<(string | null)[]>({ ...queryOf(statement), rowMode: 'array' });
      return rows;
    });
  }

  /** Rows as objects of text columns. */
  records(statement: Statement): Promise<readonly TextColumns[]> {
    return this.inTurn(async (client) => {
      const { rows } = await client.query<Record<string, string | null>>(queryOf(statement));
      return rows;
    });
  }

  /** One text of several statements, in one message and so in one implicit transaction; their rows are dropped. */
  run(text: string): Promise<void> {
    return this.inTurn(async (client) => {
      await client.query(text);
    });
  }

  /** Closes the connection; safe before the first statement and after a failure. */
  async close(): Promise<void> {
    this.isClosed = true;
    // the signal may live as long as the process
    this.options.signal?.removeEventListener('abort', this.cut);
    const client = await this.client?.catch(() => undefined);
    if (client !== undefined) {
      await endOf(client);
    }
  }

  /** A statement waits for the one before it: the driver is to get no second one. */
  private async inTurn<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    const turn = this.last.then(async () => answered(await this.connected(), work));
    this.last = turn.catch(() => undefined);
    try {
      return await turn;
    } catch (error) {
      throw toCaptureError(error);
    }
  }

  private async connected(): Promise<pg.Client> {
    if (this.isClosed) {
      throw new CaptureError('internal', 'The connection to the source has been closed.');
    }
    this.client ??= this.connect();
    return this.client;
  }

  private async connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: checkedUrl(this.options.databaseUrl),
      application_name: this.options.applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: this.options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS,
      keepAlive: true,
    });
    // without a listener a connection that breaks while idle would end the process; the next statement reports it
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query(SESSION_SETTINGS);
      return client;
    } catch (error) {
      await endOf(client);
      throw error;
    }
  }
}

/** Without an answer the driver goes on waiting for it with all that is asked after it: the socket is cut instead. */
async function answered<Result>(client: pg.Client, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  try {
    return await work(client);
  } catch (error) {
    if (sqlStateOf(error) === undefined) {
      client.connection.stream.destroy();
    }
    throw error;
  }
}

function queryOf({ text, name, values = [] }: Statement): pg.QueryConfig {
  return { text, values: [...values], types: TEXT_TYPES, ...(name === undefined ? {} : { name }) };
}

/** A server that is frozen or out of reach never answers the goodbye: the socket is cut then. */
async function endOf(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => client.connection.stream.destroy(), CLOSE_TIMEOUT_MS);
  try {
    await client.end().catch(() => undefined);
  } finally {
    clearTimeout(timer);
  }
}

/** The URL, when it is one of PostgreSQL; otherwise throws `database_url_invalid`. */
export function checkedUrl(databaseUrl: string): string {
  const protocol = URL.canParse(databaseUrl) ? new URL(databaseUrl).protocol : '';
  if (protocol !== 'postgres:' && protocol !== 'postgresql:') {
    throw new CaptureError(
      'database_url_invalid',
      'The database URL is not one: it must look like postgres://user:password@host:5432/database.',
    );
  }
  return databaseUrl;
}

const CODE_BY_SQLSTATE: Readonly<Record<string, CaptureErrorCode>> = {
  '57014': 'statement_timeout',
  '28P01': 'authentication_failed',
  '28000': 'authentication_failed',
  '42501': 'not_authorised',
  '42P01': 'schema_missing',
  '42883': 'schema_too_old',
  '3F000': 'schema_missing',
  '25006': 'not_primary',
  '55000': 'not_primary',
};

const SENTENCE: Readonly<Partial<Record<CaptureErrorCode, string>>> = {
  authentication_failed: 'The database refused the user name or password of the relay; check the database URL.',
  not_authorised:
    'The relay lacks a right in the database; run `millrace migrate` and grant millrace_relay to its user.',
  schema_missing: 'Schema millrace is missing in the database; run `millrace migrate --database-url URL`.',
  schema_too_old:
    'Schema millrace in the database is older than this relay needs; run `millrace migrate --database-url URL`.',
  not_primary: 'The database is a standby or recovering; the relay reads the primary only and waits for it.',
  statement_timeout:
    'A statement of the relay took longer than its limit, or was cancelled; the relay tries again, with a smaller page ' +
    'if it was reading. Look for very large events and for load on the database.',
  database_unavailable:
    'The database does not answer; check that it runs and that host, port and database name are right.',
};

/** Translates an error of the driver by its SQLSTATE; anything without one is a broken or refused connection. */
export function toCaptureError(error: unknown): CaptureError {
  if (error instanceof CaptureError) {
    return error;
  }
  const sqlState = sqlStateOf(error);
  const code = sqlState === undefined ? 'database_unavailable' : (CODE_BY_SQLSTATE[sqlState] ?? codeOfClass(sqlState));
  const detail = sqlState === undefined ? systemDetailOf(error) : ` (SQLSTATE ${sqlState})`;
  const sentence = endedBy(sqlState) ?? SENTENCE[code] ?? 'The database refused a statement of the relay.';
  return new CaptureError(code, sentence + detail, { cause: error });
}

/** It did answer: somebody, or its shutdown, has ended the session. */
function endedBy(sqlState: string | undefined): string | undefined {
  return sqlState === '57P01'
    ? 'The server ended the session: an administrator did, or it is shutting down.'
    : undefined;
}

/** 08 connection, 53 resources, 57 operator or shutdown, 3D no such database, 55P03 and 40 are worth another try. */
function codeOfClass(sqlState: string): CaptureErrorCode {
  return /^(08|53|57|58|3D|40|XX)/.test(sqlState) || sqlState === '55P03' ? 'database_unavailable' : 'internal';
}

function systemDetailOf(error: unknown): string {
  const { code, message }: { code?: unknown; message?: unknown } =
    typeof error === 'object' && error !== null ? error : {};
  // without a code it is the driver's own: a time-out, a password that is asked for and not there, a refused TLS
  const detail = typeof code === 'string' ? code : message;
  return typeof detail === 'string' ? ` (${detail})` : '';
}
