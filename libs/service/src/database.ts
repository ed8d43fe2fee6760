import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, type QueryRunner } from 'typeorm';

import { unavailable } from './database.errors.js';

/**
 * Connections and transactions of the service. Both methods reject with the problem `unavailable` (503) when no
 * connection can be had in time, or when it breaks before the answer is known.
 */
@Injectable()
export class Database {
  constructor(private readonly dataSource: DataSource) {}

  /** Runs statements on one connection, each on its own. */
  async read<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return await this.withRunner(async (runner) => await work(runner.manager));
  }

  /**
   * Runs `work` in one transaction at READ COMMITTED: all of it commits, or, when it rejects, none of it. When the
   * connection breaks during the commit nobody knows which; the caller asks again with its idempotency key.
   */
  async write<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return await this.withRunner(async (runner) => await runner.manager.transaction('READ COMMITTED', work));
  }

  private async withRunner<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    await runner.connect().catch((cause: unknown) => {
      throw unavailable(cause);
    });
    try {
      return await work(runner);
    } catch (error) {
      // a runner lets go of its connection by itself only when that broke, whatever the error says
      throw runner.isReleased ? unavailable(error) : error;
    } finally {
      await runner.release();
    }
  }
}
