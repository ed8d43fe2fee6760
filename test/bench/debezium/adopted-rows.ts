import pg from 'pg';
import { withClient } from '../../harness/servers.js';
import { Random } from '../../ledger/random.js';
import { KEYS, PAYLOADS } from './parity-payloads.js';
import { type WrittenRows } from './parity-scenario.js';

/** A row in the making: the values of its table's columns, by their names. */
export type ParityRow = Readonly<Record<string, string | number | boolean | null>>;

/** How the rows of a table that is not ours are written. */
export interface AdoptedTable {
  readonly table: string;
  /** Has the same columns, and is read by Debezium alone. */
  readonly twin: string;
  readonly types: readonly string[];
  /** The column with the id. */
  readonly id: string;
  /** The column that nobody publishes: an UPDATE of it is no event. */
  readonly spare: string;
  row(event: {
    readonly type: string;
    readonly key: string;
    readonly payload: string;
    readonly random: Random;
  }): ParityRow;
  /** Rows that cannot become events of Millrace, by what is wrong with them. */
  refused(): ReadonlyMap<string, ParityRow>;
}

const WRITERS = 6;
const TRANSACTIONS = 1_500;
const HOT_KEYS = 24;
const COLD_KEYS = 1_000;
const EVENTS_MAX = 4;
const ROLLBACK_ODDS = 8;
const UPDATE_ODDS = 6;

/**
 * Concurrent transactions on locked keys, some rolled back; then each awkward payload under each awkward key; then what
 * our trigger refuses. Half of the transactions delete their rows again before they commit, as Debezium's documentation
 * has it; some update them, which is no event.
 */
export async function writeAdopted(databaseUrl: string, seed: number, of: AdoptedTable): Promise<WrittenRows> {
  const share = Math.ceil(TRANSACTIONS / WRITERS);
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) =>
      withClient(databaseUrl, async (client) => writeShare(client, { of, random: new Random(seed + writer), share })),
    ),
  );
  return withClient(databaseUrl, async (client) => {
    await writeAwkward(client, of, new Random(seed));
    return { refused: await writeRefused(client, of) };
  });
}

async function writeShare(
  client: pg.Client,
  { of, random, share }: { readonly of: AdoptedTable; readonly random: Random; readonly share: number },
): Promise<void> {
  for (let done = 0; done < share; done += 1) {
    const keys = Array.from({ length: 1 + random.below(EVENTS_MAX) }, () => keyOf(random));
    const rows = keys.map((key) => {
      const type = of.types[random.below(of.types.length)] ?? '';
      const payload = PAYLOADS[random.below(PAYLOADS.length - 2)] ?? '';
      return of.row({ type, key, payload, random });
    });
    // in the order of the keys, so that two writers never wait for each other
    const locks = [...new Set(keys)].sort().map((key) => `select pg_advisory_xact_lock(hashtext('${key}'))`);
    const ids = rows.map((row) => client.escapeLiteral(String(row[of.id]))).join();
    const changes = [
      ...rows.map((row) => insertSql(of.table, row)),
      ...(random.isOneIn(UPDATE_ODDS)
        ? [`update ${of.table} set ${of.spare} = 'seen' where ${of.id} in (${ids})`]
        : []),
      ...(random.isOneIn(2) ? [`delete from ${of.table} where ${of.id} in (${ids})`] : []),
    ];
    await client.query(`begin; ${locks.join('; ')}`);
    await client.query([...changes, random.isOneIn(ROLLBACK_ODDS) ? 'rollback' : 'commit'].join('; '));
  }
}

/** All keys at once per payload, with a savepoint that is rolled back, and the deletion in a transaction of its own. */
async function writeAwkward(client: pg.Client, of: AdoptedTable, random: Random): Promise<void> {
  for (const [index, payload] of PAYLOADS.entries()) {
    const type = of.types[index % of.types.length] ?? '';
    const inserts = (): string =>
      KEYS.map((key) => insertSql(of.table, of.row({ type, key, payload, random }))).join('; ');
    await client.query(`begin; ${inserts()}; savepoint more; ${inserts()}; rollback to savepoint more; commit`);
    await client.query(`delete from ${of.table}`);
  }
}

/** Throws when one is not refused. */
async function writeRefused(client: pg.Client, of: AdoptedTable): Promise<ReadonlyMap<string, string>> {
  const refused = new Map<string, string>();
  for (const [why, row] of of.refused()) {
    const isRefused = await client.query(insertSql(of.table, row)).then(
      () => false,
      (error: unknown) => error instanceof pg.DatabaseError,
    );
    if (!isRefused) {
      throw new Error(`A row is taken that is documented as refused: ${why}.`);
    }
    await client.query(insertSql(of.twin, row));
    refused.set(String(row[of.id]).toLowerCase(), why);
  }
  return refused;
}

function keyOf(random: Random): string {
  return random.isOneIn(2) ? `hot-${random.below(HOT_KEYS)}` : `cold-${random.below(COLD_KEYS)}`;
}

function insertSql(table: string, row: ParityRow): string {
  const values = Object.values(row).map((value) => (value === null ? 'null' : pg.escapeLiteral(String(value))));
  return `insert into ${table} (${Object.keys(row).join()}) values (${values.join()})`;
}
