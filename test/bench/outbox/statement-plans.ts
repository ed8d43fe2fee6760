import pg from 'pg';
import { type BenchOutbox, ROUTE } from './outbox-pair.js';

/** What EXPLAIN ANALYZE says of one run of a statement. */
export interface StatementPlan {
  readonly planMs: number;
  readonly executeMs: number;
  /** Pages that execution and planning looked at, in memory or not. */
  readonly buffers: number;
  readonly planBuffers: number;
}

/** One-row transactions as producers write them. */
export const INSERT_SQL = `insert into millrace.outbox (id, aggregatetype, aggregateid, type, payload)
values (uuidv7(), 'order', $1, 'order.placed', $2::jsonb)`;
export const INSERT_VALUES = ['order-17', JSON.stringify({ customerId: 'customer-17', totalCents: 1_999 })];

/** As the sessions of a relay are. */
const SESSION_SQL = 'set plan_cache_mode = force_custom_plan; set jit = off; set enable_seqscan = off';
const LAST_QUERY_SQL =
  'select query from pg_stat_activity where datname = current_database() and application_name = $1';
const LIMITS = ['2000', String(8 * 1024 * 1024)];
const REACH = '1000000';
const SHARED_KEYS = ['Shared Hit Blocks', 'Shared Read Blocks'];

/** Explains the statements of one outbox, each time with what has to be read then. */
export class StatementPlans {
  private constructor(
    private readonly outbox: BenchOutbox,
    private readonly session: pg.Client,
  ) {}

  static async open(outbox: BenchOutbox): Promise<StatementPlans> {
    const session = new pg.Client({ connectionString: outbox.databaseUrl });
    await session.connect();
    await session.query(SESSION_SQL);
    return new StatementPlans(outbox, session);
  }

  async close(): Promise<void> {
    await this.session.end();
  }

  /** An insert, which is executed. */
  async insert(): Promise<StatementPlan> {
    return this.explain(INSERT_SQL, INSERT_VALUES);
  }

  /** The poll that the capture made last, as the server saw it; it must not have found gaps, nor anything after itself. */
  async poll(): Promise<StatementPlan> {
    const { rows } = await this.session.query<{ query: string }>(LAST_QUERY_SQL, [`millrace ${ROUTE} reader`]);
    const text = rows[0]?.query ?? '';
    const parameters = Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)));
    if (!text.includes('millrace.outbox o where o.position > $3') || parameters < 3 || parameters > 4) {
      throw new Error(
        `The last statement of the reader is not the poll of a route without gaps: ${text.slice(0, 200)}`,
      );
    }
    const values = [...LIMITS, String(this.outbox.capture.status().high), REACH].slice(0, parameters);
    return this.explain(text, values);
  }

  private async explain(text: string, values: readonly string[]): Promise<StatementPlan> {
    const statement = `explain (analyze, buffers, format json) ${text}`;
    const { rows } = await this.session.query<Record<'QUERY PLAN', unknown>>(statement, [...values]);
    const explained = memberOf(rows[0]?.['QUERY PLAN'], '0');
    return {
      planMs: numberIn(explained, 'Planning Time'),
      executeMs: numberIn(explained, 'Execution Time'),
      buffers: buffersIn(memberOf(explained, 'Plan')),
      planBuffers: buffersIn(memberOf(explained, 'Planning')),
    };
  }
}

function buffersIn(node: unknown): number {
  return SHARED_KEYS.reduce((sum, key) => sum + (node === undefined ? 0 : numberIn(node, key)), 0);
}

function numberIn(node: unknown, key: string): number {
  return Number(memberOf(node, key) ?? 0);
}

function memberOf(node: unknown, key: string): unknown {
  return Reflect.get(Object(node), key);
}
