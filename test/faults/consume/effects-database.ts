import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { withClient } from '../../harness/servers.js';
import { type AppliedHistory, type Effect, type KeyTotal, type Reading } from './applied-check.js';

/** The business tables of the consumer under test: what its handlers write. See app/key-handlers.ts. */
export const EFFECT_TABLES_SQL = `
create table effect (
  seq bigint generated always as identity primary key,
  id uuid not null,
  key text not null,
  version integer not null,
  previous integer not null,
  member text not null
);
create table key_total (key text primary key, version integer not null, effects integer not null);
create table poison (id uuid primary key);
create table shared_row (name text primary key);
insert into shared_row select 'row-' || n from generate_series(0, 3) n`;

const EFFECTS_SQL = 'select id::text, key, version, previous from effect order by key, seq';
const TOTALS_SQL = 'select key, version, effects from key_total';
const READING_SQL = 'select key, array_agg(version order by seq) as versions from effect group by key';
const COUNT_SQL = 'select count(distinct id)::integer as count from effect';
const READ_EVERY_MS = 250;
const POLL_MS = 50;

/** Reads the consumer's database while it is written to, and at the end. */
export class EffectsDatabase {
  private readonly readings: Reading[] = [];
  private readonly ending = new AbortController();
  private reader: Promise<void> | undefined;

  constructor(readonly url: string) {}

  /** Begins to read all keys in one snapshot, again and again, whether the server is there or not. */
  startReading(): void {
    this.reader = this.read();
  }

  async countApplied(): Promise<number> {
    return this.query<{ count: number }>(COUNT_SQL).then(([row]) => row?.count ?? 0);
  }

  /** Resolves to whether this many events had their effect in time. */
  async hasApplied(count: number, withinMs: number): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    while (performance.now() < deadline) {
      const applied = await this.countApplied().catch(() => 0); // a server that was killed on purpose
      if (applied >= count) {
        return true;
      }
      await sleep(POLL_MS);
    }
    return false;
  }

  /** All there is, and all that was read meanwhile. */
  async history(): Promise<AppliedHistory> {
    this.ending.abort();
    await this.reader;
    const effects = await this.query<Effect>(EFFECTS_SQL);
    const totals = await this.query<KeyTotal>(TOTALS_SQL);
    return { effects, totals, readings: this.readings };
  }

  async query<Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    return withClient(this.url, async (client) => client.query<Row>(sql, [...values])).then(({ rows }) => rows);
  }

  private async read(): Promise<void> {
    while (!this.ending.signal.aborted) {
      try {
        const rows = await this.query<{ key: string; versions: number[] }>(READING_SQL);
        this.readings.push(new Map(rows.map(({ key, versions }) => [key, versions])));
      } catch (error) {
        requireServerGone(error);
      }
      await sleep(READ_EVERY_MS, undefined, { signal: this.ending.signal }).catch(() => undefined);
    }
  }
}

/** A reader may fail because its server was killed on purpose, and for nothing else. */
function requireServerGone(error: unknown): void {
  const code: unknown = Reflect.get(Object(error), 'code');
  if (error instanceof pg.DatabaseError && !/^(57P0|08)/.test(String(code))) {
    throw error;
  }
}
