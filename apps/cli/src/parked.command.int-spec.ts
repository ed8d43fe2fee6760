import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { run } from './program.js';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const [FIRST, SECOND, BEHIND, SKIPPED] = [1, 2, 3, 4].map((n) => `00000000-0000-7000-8000-00000000000${String(n)}`);

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = await database.connect();
});

/** Of key a the first is refused and one waits behind it; key b waits for a person; of c one was left out. */
beforeEach(async () => {
  await client.query(`
    truncate millrace.held, millrace.held_key, millrace.ledger, millrace.audit cascade;
    insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline) values ('r', 9, 9, 1, 'x', 1);
    insert into millrace.held (route, position, aggregatetype, aggregateid, id, status, code, reason, attempts, bytes, held_at) values
      ('r', 1, 'order', 'a', '${String(FIRST)}', 'held', 'record_too_large', E'Large\\x1b.', 2, 10, '2026-11-21T10:00:00Z'),
      ('r', 2, 'order', 'b', '${String(SECOND)}', 'held', 'record_invalid', 'No.', 1, 10, '2026-11-21T11:00:00Z'),
      ('r', 3, 'order', 'a', '${String(BEHIND)}', 'held', null, null, 0, 10, '2026-11-21T12:00:00Z'),
      ('r', 4, 'order', 'c', '${String(SKIPPED)}', 'skipped', 'record_invalid', 'No.', 1, 10, '2026-11-21T13:00:00Z');
    insert into millrace.held_key (route, aggregatetype, aggregateid, status, attempts, next_try, code, reason, since) values
      ('r', 'order', 'a', 'held', 2, '2099-01-01T00:00:00Z', 'record_too_large', 'Large.', '2026-11-21T10:00:00Z'),
      ('r', 'order', 'b', 'parked', 1, null, 'record_invalid', 'No.', '2026-11-21T11:00:00Z')`);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

async function millrace(...args: string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const code = await run(args, { out: (text) => (out += text), err: (text) => (err += text) });
  return { code, out, err };
}

async function parked(command: string, ...args: string[]): Promise<Outcome> {
  return await millrace('parked', command, '--route', 'r', '--database-url', database.url, ...args);
}

async function heldKeys(...args: string[]): Promise<Outcome> {
  return await millrace('held-keys', 'list', '--route', 'r', '--database-url', database.url, ...args);
}

async function held(): Promise<unknown> {
  const { rows } = await client.query<{ text: string }>(
    `select concat_ws(' ', position, status) as text from millrace.held order by position`,
  );
  return rows.map(({ text }) => text);
}

async function audited(): Promise<unknown> {
  const { rows } = await client.query<object>('select action, target, reason from millrace.audit order by id');
  return rows;
}

describe('millrace parked list', () => {
  it('shows what was refused, by what and how often, and no contents', async () => {
    expect(await parked('list')).toEqual({
      code: 0,
      out:
        `held ${String(FIRST)} position 1 order "a"\n` +
        '         since 2026-11-21T10:00:00.000Z, refused 2 times, next try 2099-01-01T00:00:00.000Z: ' +
        'record_too_large: Large\\u001b.\n' +
        `parked ${String(SECOND)} position 2 order "b"\n` +
        '         since 2026-11-21T11:00:00.000Z, refused 1 time: record_invalid: No.\n' +
        `skipped ${String(SKIPPED)} position 4 order "c"\n` +
        '         since 2026-11-21T13:00:00.000Z, refused 1 time: record_invalid: No.\n',
      err: '',
    });
  });

  it('shows those of a state and a code, page by page, and as JSON', async () => {
    const { out, err } = await parked('list', '--code', 'record_invalid', '--limit', '1', '--json');
    expect(JSON.parse(out)).toMatchObject({ id: SECOND, position: '2', state: 'parked', nextTry: null });
    expect(err).toBe('There may be more: --after 2\n');

    const rest = await parked('list', '--state', 'skipped', '--after', '2', '--json');
    expect(JSON.parse(rest.out)).toMatchObject({ id: SKIPPED, state: 'skipped' });
    expect(rest.err).toBe('');
  });

  it('counts by code and state', async () => {
    expect((await parked('list', '--by-code')).out).toBe(
      'parked record_invalid: 1 event, the oldest since 2026-11-21T11:00:00.000Z\n' +
        'skipped record_invalid: 1 event, the oldest since 2026-11-21T13:00:00.000Z\n' +
        'held record_too_large: 1 event, the oldest since 2026-11-21T10:00:00.000Z\n',
    );
  });

  it('says that there is nothing, and that there is no such route', async () => {
    expect(await parked('list', '--code', 'x')).toEqual({
      code: 0,
      out: '',
      err: 'Nothing that fits is held for route r.\n',
    });
    const { code, err } = await millrace('parked', 'list', '--route', 'q', '-d', database.url);
    expect([code, err]).toEqual([
      1,
      'error: Route q has no ledger in this database: it has never run, or this is the name of a shard.\n',
    ]);
  });
});

describe('millrace held-keys list', () => {
  it('shows the keys with the length of their chains', async () => {
    expect(await heldKeys()).toEqual({
      code: 0,
      out:
        'held order "a": 2 events from position 1, 20 bytes\n' +
        '         since 2026-11-21T10:00:00.000Z, refused 2 times, next try 2099-01-01T00:00:00.000Z: record_too_large: Large.\n' +
        'parked order "b": 1 event from position 2, 10 bytes\n' +
        '         since 2026-11-21T11:00:00.000Z, refused 1 time: record_invalid: No.\n',
      err: '',
    });
  });

  it('shows them page by page, and as JSON', async () => {
    expect((await heldKeys('--limit', '1')).err).toBe('There may be more: --after-type "order" --after-id "a"\n');
    const { out } = await heldKeys('--after-type', 'order', '--after-id', 'a', '--json');
    expect(JSON.parse(out)).toMatchObject({ aggregateId: 'b', state: 'parked', events: 1, first: '2' });
  });
});

describe('millrace parked retry', () => {
  it('makes chains due, after a dry run that changes nothing', async () => {
    expect(await parked('retry', '--all', '--dry-run')).toEqual({
      code: 0,
      out: 'Would have 4 events of 3 keys tried again. Nothing was changed; to do it: --confirm 4\n',
      err: '',
    });
    expect([await held(), await audited()]).toEqual([['1 held', '2 held', '3 held', '4 skipped'], []]);

    expect(await parked('retry', '--all', '--confirm', '4', '--reason', 'mended')).toEqual({
      code: 0,
      out: '4 events of 3 keys due now; the relay that runs the route tries them within seconds.\n',
      err: '',
    });
    expect(await held()).toEqual(['1 held', '2 held', '3 held', '4 held']);
    expect(await audited()).toEqual([{ action: 'held.retry', target: 'r', reason: 'mended' }]);
  });
});

describe('millrace parked discard', () => {
  it('gives up what was named, and only so many as were told', async () => {
    const one = ['--id', String(FIRST), '--id', String(SKIPPED)];
    expect((await parked('discard', ...one, '--dry-run', '--json')).out).toBe(
      '{"route":"r","action":"discard","dryRun":true,"events":2,"keys":2,"done":0}\n',
    );
    expect(await parked('discard', ...one, '--confirm', '1', '--reason', 'obsolete')).toEqual({
      code: 2,
      out: '',
      err: 'error: There are 2 such events now, not 1. Nothing was changed: look again with --dry-run.\n',
    });
    expect(await parked('discard', ...one, '--confirm', '2', '--reason', 'obsolete')).toMatchObject({
      code: 0,
      out: 'Discarded 2 events of 2 keys; what waited behind them goes on within seconds.\n',
    });
    expect(await held()).toEqual(['2 held', '3 held']);
    expect(await audited()).toEqual([{ action: 'held.discard', target: 'r', reason: 'obsolete' }]);
  });

  it('takes a key, a state or a code as well', async () => {
    const reason = ['--reason', 'obsolete', '--confirm', '1'];
    await parked('discard', '--state', 'skipped', ...reason);
    await parked('discard', '--code', 'record_too_large', ...reason);
    await parked('discard', '--aggregate-type', 'order', '--aggregate-id', 'b', ...reason);
    expect(await held()).toEqual(['3 held']);
  });
});
