import pg from 'pg';
import { type CaptureError } from '../capture.errors.js';
import { parseLsn } from '../lsn.js';
import { checkedUrl, toCaptureError } from '../pg-connection.js';
import { startCommand, type StreamRequest } from './start-command.js';
import { publicationMissing, PUBLICATION_SKIPPED, slotMissing, startError, streamError } from './stream-error.js';
import { StreamQuery } from './stream-query.js';

const OPEN_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * Rows are printed by the server's session: as in a poll, and times in one zone. A warning tells of a lost publication.
 * The reading of one large transaction may take as long as its events take to be published.
 */
const SESSION_SETTINGS = `set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set client_min_messages = warning;
select set_config(name, '0', false) from pg_settings where name in ('statement_timeout', 'transaction_timeout', 'idle_session_timeout')`;

/** How to reach the server. */
export interface ReplicationConnectionOptions {
  readonly databaseUrl: string;
  /** Shown in pg_stat_replication. */
  readonly applicationName: string;
  readonly slot: string;
}

/** Who is told of the stream. Nothing is told after `close` or `abandon`. */
export interface StreamListener {
  /** One CopyData of the server. Its memory is used again after the call; an error thrown ends the stream. */
  onFrame(frame: Buffer): void;
  /** The stream has ended, and the connection with it. Called once at most. */
  onFailure(error: CaptureError): void;
}

/** Where the slot stands and what its server demands. */
export interface SlotPlace {
  /** What was confirmed to the slot; the server never sends anything from below it. */
  readonly confirmedLsn: bigint;
  /** After what time without a word from us the server ends the connection; 0: never. */
  readonly serverTimeoutMs: number;
  /** Of our own walsender. */
  readonly pid: number;
}

/**
 * node-postgres in replication mode: it connects (TLS and passwords as everywhere), starts the stream, and from then on
 * passes frames in both directions. Every error is a `CaptureError`.
 */
export class ReplicationConnection {
  private state: 'opening' | 'streaming' | 'ended' = 'opening';

  private constructor(
    private readonly client: pg.Client,
    private readonly slot: string,
  ) {}

  static async connect(options: ReplicationConnectionOptions): Promise<ReplicationConnection> {
    const config: pg.ClientConfig & { readonly replication: 'database' } = {
      connectionString: checkedUrl(options.databaseUrl),
      application_name: options.applicationName,
      connectionTimeoutMillis: OPEN_TIMEOUT_MS,
      keepAlive: true,
      replication: 'database',
    };
    const client = new pg.Client(config);
    // without a listener a connection that breaks would end the process; the query that is under way is told as well
    client.on('error', () => undefined);
    const connection = new ReplicationConnection(client, options.slot);
    await connection.inTime(async () => {
      await client.connect();
      await client.query(SESSION_SETTINGS);
    });
    return connection;
  }

  /** Throws `slot_missing`. */
  async slotPlace(): Promise<SlotPlace> {
    return this.inTime(async () => {
      const { rows } = await this.client.query<{ timeout_ms: string; confirmed_lsn: string; pid: string }>(
        placeSql(this.slot),
      );
      const [row] = rows;
      if (row === undefined) {
        throw slotMissing(this.slot);
      }
      const { confirmed_lsn: confirmed, timeout_ms: timeout, pid } = row;
      return { confirmedLsn: parseLsn(confirmed), serverTimeoutMs: Number(timeout), pid: Number(pid) };
    });
  }

  /** Resolves when the server has begun to stream. Throws `slot_missing`, `slot_in_use`, `slot_lost`. */
  async start(request: Omit<StreamRequest, 'slot'>, listener: StreamListener): Promise<void> {
    const command = startCommand({ ...request, slot: this.slot });
    this.client.on('notice', (notice) => {
      if (notice.code === PUBLICATION_SKIPPED) {
        this.fail(publicationMissing(request.publication), listener);
      }
    });
    await this.inTime(
      () =>
        new Promise<void>((resolve, reject) => {
          this.client.connection.once('replicationStart', () => {
            this.state = 'streaming';
            resolve();
          });
          const onFrame = (frame: Buffer): void => {
            this.frame(frame, listener);
          };
          const onEnd = (error: Error): void => {
            reject(error);
            this.fail(streamError(error, request.publication), listener);
          };
          this.client.query(new StreamQuery(command, onFrame, onEnd));
        }),
    );
  }

  /** Writes what is a whole message of the protocol; a broken connection takes nothing, and is told otherwise. */
  send(message: Buffer): void {
    const { stream } = this.client.connection;
    if (this.state === 'streaming' && stream.writable) {
      stream.write(message);
    }
  }

  /** The server's bytes stay in the socket; what has been read already, one chunk at most, still comes. */
  pause(): void {
    this.client.connection.stream.pause();
  }

  resume(): void {
    this.client.connection.stream.resume();
  }

  /** Cuts the connection without a word. */
  abandon(): void {
    this.state = 'ended';
    this.client.connection.stream.destroy();
  }

  /** Lets the server read what was sent, says goodbye, and cuts the socket when that takes too long. Idempotent. */
  async close(): Promise<void> {
    this.state = 'ended';
    const { connection } = this.client;
    const { stream } = connection;
    if (stream.closed) {
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => stream.destroy(), CLOSE_TIMEOUT_MS);
      stream.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      connection.end();
      stream.resume(); // the end of a socket is noticed by reading
    });
  }

  private frame(frame: Buffer, listener: StreamListener): void {
    if (this.state !== 'streaming') {
      return;
    }
    try {
      listener.onFrame(frame);
    } catch (error) {
      this.fail(toCaptureError(error), listener);
    }
  }

  private fail(error: CaptureError, listener: StreamListener): void {
    if (this.state === 'streaming') {
      this.abandon();
      listener.onFailure(error);
    }
  }

  /** A step of the opening: after an error, and when the server does not answer in time, the connection is gone. */
  private async inTime<Result>(step: () => Promise<Result>): Promise<Result> {
    const timer = setTimeout(() => this.client.connection.stream.destroy(), OPEN_TIMEOUT_MS);
    try {
      return await step();
    } catch (error) {
      this.abandon();
      throw startError(error, this.slot);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A replication connection has the simple protocol only, and so no parameters. */
function placeSql(slot: string): string {
  return `select (select setting from pg_settings where name = 'wal_sender_timeout') as timeout_ms,
    coalesce(confirmed_flush_lsn, '0/0')::text as confirmed_lsn, pg_backend_pid() as pid
    from pg_replication_slots where slot_name = ${pg.escapeLiteral(slot)}`;
}
