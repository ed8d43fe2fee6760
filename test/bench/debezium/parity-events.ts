import { type Client } from 'pg';

/** The types beside the load's own `order`; each has a topic of its own. */
export const PARITY_TYPES = ['stock-level', 'Payment_2'] as const;

/** What a JSON parser or a header could take for something else, for each type: text is kept as PostgreSQL has it. */
const PAYLOADS = [
  '{}',
  '[]',
  'null',
  '0',
  '1.50',
  '"text"',
  '{"b": 1, "a": 2, "b": 3}',
  '{"amount": 12345678901234567890.1200, "exponent": 1e2}',
  '{"text": "\\u00e9 \\" \\\\ \\n ä € 😀"}',
  '  { "spaces" :  [ 1 , 2 ] }  ',
  `{"long": "${'x'.repeat(100_000)}"}`,
];
const KEYS = ['1', 'key with spaces', 'schlüssel-ä€😀', '"quoted"', 'a:b,c', '00000000-0000-0000-0000-000000000000'];

/** One transaction for each payload, with one event of each key; every second one has a savepoint that is rolled back. */
export async function writeParityEvents(client: Client): Promise<void> {
  for (const type of PARITY_TYPES) {
    for (const [index, payload] of PAYLOADS.entries()) {
      await client.query('begin');
      await writeOne(client, { type, version: index + 1, payload });
      if (index % 2 === 0) {
        await client.query('savepoint one_more');
        await writeOne(client, { type, version: index + 2, payload });
        await client.query('rollback to savepoint one_more');
      }
      await client.query('commit');
    }
  }
}

async function writeOne(
  client: Client,
  { type, version, payload }: { readonly type: string; readonly version: number; readonly payload: string },
): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload)
     select uuidv7(), $1, key, $1 || '.changed', $2, $3::json from unnest($4::text[]) as key`,
    [type, version, payload, KEYS],
  );
}
