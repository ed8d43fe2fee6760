import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { archiveDirectoryProblem, archiveLeavesTo } from './leaf-archive.js';
import { type LeafToArchive } from './retention-keeper.js';

const LEAF: LeafToArchive = { source: 'shop', table: 'millrace.outbox_p1', lo: 1n, last: 1_000_000n, rows: 3 };
const NAME = /^outbox_p1\.1-1000000\.[0-9a-f]{16}\.jsonl\.gz$/;

let database: TestDatabase;
let client: pg.Client;
let directory: string;
let folder: string;
let archived: string[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  directory = await mkdtemp(join(tmpdir(), 'millrace-archive-'));
  folder = join(directory, 'shop');
  archived = [];
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
  await client.end();
  await database.drop();
});

async function insert(count: number, payload = `'{"price": 10.50}'`): Promise<void> {
  await client.query(
    `insert into millrace.outbox (id, aggregatetype, aggregateid, type, aggregateversion, payload, headers)
     select gen_random_uuid(), 'order', E'k\\n' || n, 'placed', 9007199254740993, (${payload})::jsonb, '{"tenant": "Müller"}'
     from generate_series(1, $1) n`,
    [count],
  );
}

async function archive(leaf: LeafToArchive = LEAF, signal = new AbortController().signal): Promise<void> {
  await hook()(leaf, signal);
}

const hook = (): ReturnType<typeof archiveLeavesTo> =>
  archiveLeavesTo({ databaseUrl: database.url, directory, archived: ({ path }) => archived.push(path) });

const linesOf = async (file: string): Promise<string[]> =>
  gunzipSync(await readFile(join(folder, file)))
    .toString('utf8')
    .trimEnd()
    .split('\n');

describe('a leaf in the archive', () => {
  it('has every row as one line, payload and headers as PostgreSQL prints them, for its owner alone', async () => {
    await insert(3);
    await archive();

    const [file = '', ...others] = await readdir(folder);
    expect([file, others]).toEqual([expect.stringMatching(NAME), []]);
    expect(archived).toEqual([join(folder, file)]);
    expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
    const lines = await linesOf(file);
    const { rows } = await client.query<{ line: string; id: string }>(
      `select payload::text as line, id from millrace.outbox order by position`,
    );
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain(`"payload" : ${rows[0]?.line ?? ''}}`);
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject(
      rows.map(({ id }, index) => ({
        position: String(index + 1),
        id,
        aggregatetype: 'order',
        aggregateid: `k\n${index + 1}`,
        type: 'placed',
        aggregateversion: '9007199254740993',
        schemaversion: 1,
        occurred_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
        headers: { tenant: 'Müller' },
      })),
    );
  });

  it('is complete over pages that are cut by number and by bytes', async () => {
    await insert(1_500);
    await insert(3, `jsonb_build_object('n', n, 'text', repeat('x', 5000000))`);
    await insert(1);
    await archive({ ...LEAF, rows: 1_504 });

    const [file = ''] = await readdir(folder);
    const positions = (await linesOf(file)).map((line) => /"position" : "(\d+)"/.exec(line)?.[1]);
    expect(positions).toEqual(Array.from({ length: 1_504 }, (_, index) => String(index + 1)));
  });

  it('is the same file when it comes again, also from another relay at the same time, and never another leaf with its name', async () => {
    await insert(3);
    await Promise.all([archive(), archive()]);
    await archive();
    expect(await readdir(folder)).toHaveLength(1);

    await client.query(`begin; set local millrace.retention = on; delete from millrace.outbox; commit;
      select setval('millrace.position', 1, false)`);
    await insert(3);
    await archive();
    expect(await readdir(folder)).toHaveLength(2);
  });

  it('is read once by a process while it waits for a lock, unless its file has vanished', async () => {
    await insert(3);
    const twice = hook();
    const { signal } = new AbortController();
    await twice(LEAF, signal);
    await twice(LEAF, signal);
    expect(archived).toHaveLength(1);
    await rm(archived[0] ?? '');
    await twice(LEAF, signal);
    expect(archived).toHaveLength(2);
  });

  it('of the default partition has the rows of that alone', async () => {
    await insert(2);
    await client.query(`select setval('millrace.position', 20000000)`);
    await insert(2);
    await archive({ source: 'shop', table: 'millrace.outbox_default', lo: 0n, last: 20_000_002n, rows: 2 });

    const [file = ''] = await readdir(folder);
    expect(file).toMatch(/^outbox_default\.0-20000002\./);
    expect((await linesOf(file)).map((line) => /"position" : "(\d+)"/.exec(line)?.[1])).toEqual([
      '20000001',
      '20000002',
    ]);
  });
});

describe('an archive that fails leaves no file', () => {
  it('when the leaf has other rows than were counted', async () => {
    await insert(2);
    await expect(archive()).rejects.toThrow('had 2 rows when it was archived and 3 when it was counted');
    expect(await readdir(folder)).toEqual([]);
  });

  it('when its directory is not there', async () => {
    await rm(directory, { recursive: true });
    await insert(3);
    await expect(archive()).rejects.toThrow(
      `The archive directory ${directory} cannot be used (ENOENT): it must be there`,
    );
    expect(await archiveDirectoryProblem(directory)).toMatch(/ cannot be used \(ENOENT\): /);
    await writeFile(directory, '');
    expect(await archiveDirectoryProblem(directory)).toMatch(/ cannot be used \(not a directory\): /);
  });

  it('when it is cut off', async () => {
    await insert(3);
    const cut = new AbortController();
    cut.abort();
    await expect(archive(LEAF, cut.signal)).rejects.toMatchObject({ name: 'AbortError' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('and what a killed relay has left is removed after a day', async () => {
    await insert(3);
    await mkdir(folder);
    const left = join(folder, 'outbox_p900001.900001-1000000.left.partial');
    await writeFile(left, 'half');
    await archive();
    expect(await readdir(folder)).toHaveLength(2);
    const longAgo = new Date(Date.now() - 2 * 86_400_000);
    await utimes(left, longAgo, longAgo);
    await archive();
    expect(await readdir(folder)).toEqual([expect.stringMatching(NAME)]);
  });
});
