import pg from 'pg';
import { toCaptureError } from '../pg-connection.js';
import { CREATE_FAILOVER_SLOT_SQL, CREATE_SLOT_SQL } from './slot-control.sql.js';
import { FAILOVER_SINCE } from './slot-health.js';

const CONNECT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * The one statement of the relay that may take hours: it has no limit, because each new try would begin to wait anew,
 * and would never end where there are always some transactions longer than the limit. Instead the server looks every
 * two seconds whether we are still there (some platforms cannot), and takes the unfinished slot away when we are not.
 */
const SESSION_SETTINGS = `set statement_timeout = 0; set lock_timeout = 0; set idle_session_timeout = 0;
do $watch$ begin
  set client_connection_check_interval = '2s';
exception when others then
  null;
end $watch$`;

/** What to make, and where. */
export interface SlotCreationRequest {
  readonly databaseUrl: string;
  readonly applicationName: string;
  readonly name: string;
  /** As in `server_version_num`. */
  readonly serverVersion: number;
  /** Asks for a failover slot where the server has them. */
  readonly isFailover: boolean;
}

/** A slot being made, on a connection of its own. */
export class SlotCreation {
  private readonly client: pg.Client;

  constructor(private readonly request: SlotCreationRequest) {
    this.client = new pg.Client({
      connectionString: request.databaseUrl,
      application_name: request.applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
    });
    this.client.on('error', () => undefined); // the statement's own rejection tells
  }

  /**
   * Resolves when the slot is there and the connection is closed. It waits for every write transaction of the cluster
   * that was open before. Throws `CaptureError`; cancelled, it throws `database_unavailable`.
   */
  async run(): Promise<void> {
    const { name, serverVersion, isFailover } = this.request;
    try {
      await this.client.connect();
      await this.client.query(SESSION_SETTINGS);
      const text = isFailover && serverVersion >= FAILOVER_SINCE ? CREATE_FAILOVER_SLOT_SQL : CREATE_SLOT_SQL;
      await this.client.query(text, [name]);
    } catch (error) {
      throw toCaptureError(error);
    } finally {
      await this.close();
    }
  }

  /** Gives up: the socket is cut, `run` rejects. The backend ends on its own; `SlotControl.endReaders` does it at once. */
  cancel(): void {
    this.client.connection.stream.destroy();
  }

  private async close(): Promise<void> {
    const timer = setTimeout(() => {
      this.cancel();
    }, CLOSE_TIMEOUT_MS);
    await this.client.end().catch(() => undefined);
    clearTimeout(timer);
  }
}
