import { HEADER } from '@millrace/events';
import pg from 'pg';
import { withClient } from '../../harness/servers.js';
import { type Ceiling, measureCeiling } from './ceiling.js';

/** What is delivered again, and where. */
export interface BareDeliveriesOptions {
  /** The database that a relay has delivered into: its batches are taken. */
  readonly deliveredUrl: string;
  /** An empty database with schema `millrace`. */
  readonly databaseUrl: string;
  readonly partitions: number;
  readonly events: number;
  /** Milliseconds of processor time that the server has used so far. */
  readonly sinkCpuMs: () => number;
}

interface DeliveredRow {
  readonly topic: string;
  readonly partition: number;
  /** Rows of one batch were written by one transaction. */
  readonly transaction: string;
  readonly record_key: Buffer;
  readonly record_value: Buffer;
  readonly headers: Buffer;
}

/** The parameters of `millrace.deliver`. */
type Call = readonly unknown[];

/** As many as the sink has. */
const CONNECTIONS = 4;
const ONCE = 1;
/** As the sink sets its connections. */
const OPTIONS = '-c synchronous_commit=on -c enable_seqscan=off -c jit=off';
const OPEN_SQL = 'select millrace.open_delivery_topic($1, $2)';
const DELIVER_SQL = `select verdict, base_offset::text, stored::text
from millrace.deliver($1, $2, $3, $4, $5, $6, $7::bigint[], $8::smallint[], $9::integer[], $10)`;
const PARTITION_SQL = `select p.topic, p.partition, d.xmin::text as transaction, d.record_key, d.record_value, d.headers
from millrace.delivery d join millrace.delivery_partition p using (partition_id)
where p.partition = $1 order by d.record_offset`;

/**
 * Calls `millrace.deliver` with the very batches of a relay, made beforehand: partitions side by side, on as many connections,
 * and nothing else. Throws when one is not taken.
 */
export async function bareDeliveries(options: BareDeliveriesOptions): Promise<Ceiling> {
  const { deliveredUrl, databaseUrl, partitions, events, sinkCpuMs } = options;
  const calls = await withClient(deliveredUrl, async (client) => {
    const lanes: Call[][] = [];
    for (let partition = 0; partition < partitions; partition += 1) {
      const { rows } = await client.query<DeliveredRow>(PARTITION_SQL, [partition]);
      lanes.push(batchesOf(rows).map(callOf));
    }
    return lanes;
  });
  const pool = new pg.Pool({ connectionString: databaseUrl, max: CONNECTIONS, options: OPTIONS });
  try {
    await pool.query(OPEN_SQL, [calls.flat()[0]?.[0], partitions]);
    const work = async (): Promise<void> => {
      await Promise.all(calls.map((lane) => deliverAll(pool, lane)));
    };
    return await measureCeiling({ events, sinkCpuMs, work });
  } finally {
    await pool.end();
  }
}

async function deliverAll(pool: pg.Pool, calls: readonly Call[]): Promise<void> {
  for (const values of calls) {
    const { rows } = await pool.query<{ verdict: string }>({
      name: 'deliver',
      text: DELIVER_SQL,
      values: [...values],
    });
    if (rows[0]?.verdict !== 'taken') {
      throw new Error(`A batch was not taken: ${rows[0]?.verdict ?? 'no verdict'}.`);
    }
  }
}

function batchesOf(rows: readonly DeliveredRow[]): readonly (readonly DeliveredRow[])[] {
  const batches: DeliveredRow[][] = [];
  let last: string | undefined;
  for (const row of rows) {
    if (row.transaction === last) {
      batches.at(-1)?.push(row);
    } else {
      batches.push([row]);
    }
    last = row.transaction;
  }
  return batches;
}

function callOf(batch: readonly DeliveredRow[]): Call {
  const stamps = batch.map(({ headers }) => headersOf(headers));
  const of = (name: string): readonly string[] => stamps.map((stamp) => stamp.get(name) ?? '');
  const lows = of(HEADER.low).map(Number);
  const parts = batch.flatMap((row) => [row.record_key, row.record_value, row.headers]);
  const starts = [1];
  for (const part of parts) {
    starts.push((starts.at(-1) ?? 0) + part.length);
  }
  return [
    batch[0]?.topic,
    batch[0]?.partition,
    of(HEADER.source)[0],
    of(HEADER.route)[0],
    of(HEADER.epoch)[0],
    Math.max(...lows),
    of(HEADER.position),
    batch.map(() => ONCE),
    starts,
    Buffer.concat(parts),
  ];
}

/** Each name and value in turn, its length before it in four bytes. */
function headersOf(bytes: Buffer): ReadonlyMap<string, string> {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at);
    texts.push(bytes.toString('utf8', at + 4, end));
    at = end;
  }
  return new Map(texts.flatMap((text, index) => (index % 2 === 0 ? [[text, texts[index + 1] ?? ''] as const] : [])));
}
