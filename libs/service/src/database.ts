import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DataSource, type EntityManager, QueryFailedError, type QueryRunner } from 'typeorm';

import { unavailable } from './database.errors.js';

/** Runs a statement of a snapshot; resolves with its rows. */
export type SnapshotQuery = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Statements of a snapshot read whole tables; the server ends one after this time, the driver gives up a little later. */
const SNAPSHOT_STATEMENT_MS = 30_000;

/**
 * Connections and transactions of the service. Every method rejects with the problem `unavailable` (503) when no
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

  /**
   * Runs statements that only read, all on one snapshot (REPEATABLE READ, READ ONLY), each for at most 30 seconds: for
   * an operator's questions about the whole state.
   */
  async snapshot<T>(work: (query: SnapshotQuery) => Promise<T>): Promise<T> {
    return await this.withRunner(
      async (runner) =>
        await runner.manager.transaction('REPEATABLE READ', async () => {
          // TypeORM's query() knows no time limit of its own for a statement
          const client = (await runner.connect()) as pg.ClientBase;
          await client.query(`set transaction read only; set local statement_timeout = ${SNAPSHOT_STATEMENT_MS}`);
          return await work(async (sql) => await readRows(client, sql));
        }),
    );
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

async function readRows(client: pg.ClientBase, text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const limits = { query_timeout: SNAPSHOT_STATEMENT_MS + 5000 };
  try {
    const { rows } = await client.query<Record<string, unknown>>({ text, ...limits });
    return rows;
  } catch (error) {
    throw error instanceof Error ? new QueryFailedError(text, [], error) : error;
  }
}
