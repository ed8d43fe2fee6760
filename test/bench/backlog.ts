import { type LocalPostgres } from '@millrace/testing';
import type pg from 'pg';
import { createMigratedDatabase, withClient } from '../harness/servers.js';

const EVENTS_PER_TRANSACTION = 10_000;

/** 10,000 orders in turn; each payload is about 300 bytes long as PostgreSQL prints it. */
const FILL_SQL = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
select uuidv7(), 'order', md5((n % 10000)::text)::uuid::text, 'order.placed', n / 10000 + 1,
  jsonb_build_object('orderId', md5((n % 10000)::text)::uuid, 'customerId', 'customer-' || n % 1000, 'totalCents', n,
    'placedAt', to_timestamp(1790000000 + n), 'note', repeat(md5(n::text), 2),
    'lines', jsonb_build_array(jsonb_build_object('sku', 'sku-' || n % 500, 'quantity', 1 + n % 9, 'unitPriceCents', n % 5000)))
from generate_series($1::bigint, $2::bigint) n`;

/** Commits the events from `first` to `last` in so many a transaction. */
export async function fillOutbox(
  client: pg.Client,
  { first, last, perTransaction = EVENTS_PER_TRANSACTION }: FillOptions,
): Promise<void> {
  for (let from = first; from <= last; from += perTransaction) {
    await client.query(FILL_SQL, [from, Math.min(last, from + perTransaction - 1)]);
  }
}

/** Which events are written; with 10,000 in a transaction when that is left out. */
export interface FillOptions {
  readonly first: number;
  readonly last: number;
  readonly perTransaction?: number;
}

/** A database with a backlog that can be copied, so that every run drains the very same rows. */
export class Backlog {
  private copies = 0;

  private constructor(
    private readonly postgres: LocalPostgres,
    private readonly name: string,
    readonly events: number,
    readonly payloadBytes: number,
  ) {}

  /** The original, which nobody drains. */
  get databaseUrl(): string {
    return this.postgres.databaseUrl(this.name);
  }

  static async fill(postgres: LocalPostgres, events: number): Promise<Backlog> {
    const name = 'backlog';
    const url = await createMigratedDatabase(postgres, name);
    const payloadBytes = await withClient(url, async (client) => {
      await fillOutbox(client, { first: 1, last: events });
      await client.query('vacuum analyze millrace.outbox');
      const { rows } = await client.query<{ bytes: string }>(
        'select avg(octet_length(payload::text)) as bytes from (select payload from millrace.outbox limit 10000) some_rows',
      );
      return Math.round(Number(rows[0]?.bytes));
    });
    return new Backlog(postgres, name, events, payloadBytes);
  }

  /** A database with the whole backlog, on disk before the clock starts; returns its URL. */
  async copy(): Promise<string> {
    this.copies += 1;
    const copy = `${this.name}_${this.copies}`;
    await withClient(this.postgres.adminUrl, async (client) => {
      await client.query(`create database ${copy} template ${this.name} strategy file_copy`);
      await client.query('checkpoint');
    });
    return this.postgres.databaseUrl(copy);
  }

  async drop(databaseUrl: string): Promise<void> {
    await withClient(this.postgres.adminUrl, async (client) => {
      await client.query(`drop database ${new URL(databaseUrl).pathname.slice(1)} with (force)`);
    });
  }
}
