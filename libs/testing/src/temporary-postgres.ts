import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalPostgres, type LocalPostgresOptions } from './local-postgres.js';

/**
 * A server of one spec's own, with its data in a temporary folder: for settings that the run's server does not have, for
 * kills, and for what every session of a cluster can hold up. Durable unless the settings say otherwise.
 */
export class TemporaryPostgres extends LocalPostgres {
  private readonly folder: string;

  constructor(settings: LocalPostgresOptions['settings'] = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-postgres-'));
    super({ dataDir: join(folder, 'data'), settings, temporaryDir: folder });
    this.folder = folder;
  }

  /** Stops the server at once, whatever is connected to it, and removes its data. */
  async remove(): Promise<void> {
    await this.stop('immediate');
    await rm(this.folder, { recursive: true, force: true });
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
