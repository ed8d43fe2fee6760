import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from './free-port.js';
import { postgresBinaries, reachableDataDir } from './postgres-binaries.js';
import { initialiseData } from './postgres-data.js';
import { childrenOf, isProcessAlive } from './process-tree.js';
import { ServerProcess } from './server-process.js';
import { LocalServerError } from './testing.errors.js';
import { unprivilegedUser, type UserIds } from './unprivileged-user.js';

/** Which server to run, and where. */
export interface LocalPostgresOptions {
  /** Made by the first start; a later start with the same folder finds the same data. */
  readonly dataDir: string;
  /** A free one is taken when this is left out; it stays the same over restarts. */
  readonly port?: number | undefined;
  /** Server settings (`postgresql.conf`) that go above the defaults of this class. */
  readonly settings?: Readonly<Record<string, string | number>> | undefined;
  /** A folder to remove, with all in it, when the process that started the server ends without having stopped it. */
  readonly temporaryDir?: string | undefined;
}

/** As `pg_ctl stop -m`: smart waits for clients, fast rolls them back, immediate recovers at the next start. */
export type PostgresStopMode = 'smart' | 'fast' | 'immediate';

const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

const DEFAULT_SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  wal_level: 'logical',
  max_connections: 200,
  max_prepared_transactions: 50,
  max_wal_senders: 20,
  max_replication_slots: 20,
  timezone: 'UTC',
  log_timezone: 'UTC',
};

/** For tests that do not crash the server: several times faster, and the data does not survive a crash of the machine. */
export const FAST_UNSAFE_SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } as const;

const READY_TIMEOUT_MS = 120_000;

/**
 * A real PostgreSQL 18 of one's own on 127.0.0.1, superuser `postgres` without a password. Durable by default
 * (fsync on). It ends with the process that started it, however that one ends.
 */
export class LocalPostgres {
  /** Where the data is: as given, or in /var/tmp for a root whose clone PostgreSQL's account cannot enter. */
  readonly dataDir: string;
  private readonly user: UserIds | undefined;
  private readonly options: LocalPostgresOptions;
  private chosenPort: number | undefined;
  private server: ServerProcess | undefined;

  constructor(options: LocalPostgresOptions) {
    this.options = options;
    this.chosenPort = options.port;
    this.user = unprivilegedUser();
    if (this.user !== undefined && options.temporaryDir !== undefined) {
      chmodSync(options.temporaryDir, 0o755); // mkdtemp lets nobody else in
    }
    this.dataDir = reachableDataDir(options.dataDir, this.user);
  }

  /** The port; known from the first start on. */
  get port(): number {
    if (this.chosenPort === undefined) {
      throw new LocalServerError('not_running', 'PostgreSQL has not been started: call start() first.');
    }
    return this.chosenPort;
  }

  /** The postmaster's process id. */
  get pid(): number {
    return this.runningServer().pid;
  }

  /** Connects as superuser to the database `postgres`. */
  get adminUrl(): string {
    return this.databaseUrl('postgres');
  }

  get isRunning(): boolean {
    return this.server?.isRunning ?? false;
  }

  /** Where the server writes its log. */
  get logFile(): string {
    return `${this.dataDir}.log`;
  }

  /** Connects as superuser to a database of this server. */
  databaseUrl(database: string): string {
    return `postgres://postgres@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  /** Resolves when the server answers a query, after its crash recovery if it had one; at once if it is running. */
  async start(): Promise<void> {
    if (this.isRunning) {
      return;
    }
    const binaries = postgresBinaries(this.user);
    initialiseData({
      initdb: join(binaries, 'initdb'),
      dataDir: this.dataDir,
      user: this.user,
      isSynced: this.options.settings?.['fsync'] !== 'off',
    });
    this.chosenPort ??= await freePort();
    const settings = { ...DEFAULT_SETTINGS, ...this.options.settings, port: this.chosenPort };
    this.server = await ServerProcess.spawn({
      title: 'PostgreSQL',
      command: join(binaries, 'postgres'),
      args: ['-D', this.dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      logFile: this.logFile,
      stopSignal: 'SIGINT',
      user: this.user,
      env: { LC_ALL: 'C' },
      removeAfter: this.options.temporaryDir,
    });
    await this.server.ready(async () => this.answers(), READY_TIMEOUT_MS);
  }

  /** Stops the server in order and waits until its port is free; nothing happens when it is not running. */
  async stop(mode: PostgresStopMode = 'fast'): Promise<void> {
    await this.server?.signal(STOP_SIGNALS[mode]);
    this.server = undefined;
  }

  /** SIGKILL for the postmaster and every process under it, as when the machine's memory runs out; `start()` recovers. */
  async kill(): Promise<void> {
    const server = this.runningServer();
    process.kill(server.pid, 'SIGSTOP'); // so that it starts no child between the listing and the end
    const children = childrenOf(server.pid);
    for (const child of children) {
      killIfAlive(child);
    }
    await server.signal('SIGKILL');
    while (children.some((child) => isProcessAlive(child))) {
      await sleep(5);
    }
    this.server = undefined;
  }

  /** Resolves when the server has ended, for whatever reason: to the signal or exit code; at once if it is not running. */
  async exited(): Promise<string | undefined> {
    return this.server?.exited;
  }

  private async answers(): Promise<boolean> {
    const client = new pg.Client({ connectionString: this.adminUrl, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined); // the query's own rejection says it
    try {
      await client.connect();
      await client.query('select 1');
      return true;
    } catch {
      return false; // it is starting or recovering; the caller has a deadline and the log
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  private runningServer(): ServerProcess {
    if (this.server?.isRunning !== true) {
      throw new LocalServerError('not_running', 'PostgreSQL is not running: call start() first.');
    }
    return this.server;
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) {
      throw error;
    }
  }
}
