import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalPostgres } from '@millrace/testing';
import { BENCH_POSTGRES } from '../bench-servers.js';

/** A temporary folder, and the servers of one run that have their logs and data in it. */
export class RunFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'millrace-run-'));
  private readonly clusters: LocalPostgres[] = [];

  constructor() {
    chmodSync(this.path, 0o755); // PostgreSQL may run under another account
  }

  /** Starts a durable PostgreSQL, a cluster of its own. */
  async startPostgres(name: string): Promise<LocalPostgres> {
    const postgres = new LocalPostgres({
      dataDir: join(this.path, name),
      settings: BENCH_POSTGRES,
      temporaryDir: this.path,
    });
    this.clusters.push(postgres);
    await postgres.start();
    return postgres;
  }

  /** Stops the clusters and removes their data; the logs only when nobody needs them any more. */
  async stop(logs: 'keep' | 'remove'): Promise<void> {
    await Promise.all(this.clusters.map((postgres) => postgres.stop('immediate')));
    for (const path of [...this.clusters.map(({ dataDir }) => dataDir), ...(logs === 'remove' ? [this.path] : [])]) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}
