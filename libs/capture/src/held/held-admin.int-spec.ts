import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { changeHeld, countParked, type HeldFilter, listHeldKeys, listParked, previewHeld } from './held-admin.js';

let database: TestDatabase;
let client: pg.Client;

/** Chains a (1, 3, 4; 1 refused), b parked (2; refused); and 5 left out. */
beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  await client.query(`
    insert into millrace.ledger (route, low, high, epoch, system_identifier, timeline) values ('r', 9, 9, 1, 'x', 1);
    insert into millrace.held (route, position, aggregatetype, aggregateid, id, status, code, reason, attempts, bytes) values
      ('r', 1, 'order', 'a', '00000000-0000-7000-8000-000000000001', 'held', 'record_too_large', 'Large.', 2, 10),
      ('r', 2, 'order', 'b', '00000000-0000-7000-8000-000000000002', 'held', 'record_invalid', 'No.', 1, 10),
      ('r', 3, 'order', 'a', '00000000-0000-7000-8000-000000000003', 'held', null, null, 0, 10),
      ('r', 4, 'order', 'a', '00000000-0000-7000-8000-000000000004', 'held', null, null, 0, 10),
      ('r', 5, 'order', 'c', '00000000-0000-7000-8000-000000000005', 'skipped', 'record_invalid', 'No.', 1, 10),
      ('other', 1, 'order', 'a', '00000000-0000-7000-8000-000000000001', 'held', 'record_invalid', 'No.', 1, 10);
    insert into millrace.held_key (route, aggregatetype, aggregateid, status, attempts, next_try, code, reason) values
      ('r', 'order', 'a', 'held', 2, clock_timestamp() + interval '1 hour', 'record_too_large', 'Large.'),
      ('r', 'order', 'b', 'parked', 1, null, 'record_invalid', 'No.');`);
});

afterEach(async () => {
  await client.end();
  await database.drop();
});

function place(): { readonly databaseUrl: string; readonly route: string } {
  return { databaseUrl: database.url, route: 'r' };
}

async function act(action: 'retry' | 'discard', filter: HeldFilter, confirm?: number): Promise<unknown> {
  const more = confirm === undefined ? {} : { confirm };
  return changeHeld({ ...place(), action, filter, actor: 'anna', reason: 'mended', ...more });
}

async function held(): Promise<unknown> {
  const { rows } = await client.query<{ text: string }>(
    `select concat_ws(' ', position, status) as text from millrace.held where route = 'r' order by position`,
  );
  return rows.map(({ text }) => text);
}

async function due(): Promise<unknown> {
  const { rows } = await client.query<{ aggregateid: string }>(
    `select aggregateid from millrace.held_key where route = 'r' and next_try <= clock_timestamp() order by 1`,
  );
  return rows.map(({ aggregateid }) => aggregateid);
}

describe('what is held of a route', () => {
  it('is shown to a person: what was refused, by what, and the keys, a page at a time', async () => {
    const first = await listParked({ ...place(), limit: 2 });
    expect(first.map(({ position, state, attempts }) => [position, state, attempts])).toEqual([
      ['1', 'held', 2],
      ['2', 'parked', 1],
    ]);
    expect(await listParked({ ...place(), limit: 2, after: 2n })).toMatchObject([{ position: '5', state: 'skipped' }]);
    expect(await listParked({ ...place(), limit: 9, state: 'parked', code: 'record_invalid' })).toHaveLength(1);
    expect(await countParked(place())).toMatchObject([
      { code: 'record_invalid', state: 'parked', events: 1 },
      { code: 'record_invalid', state: 'skipped', events: 1 },
      { code: 'record_too_large', state: 'held', events: 1 },
    ]);
    const [a] = await listHeldKeys({ ...place(), limit: 1 });
    expect(a).toMatchObject({ aggregateId: 'a', state: 'held', events: 3, bytes: 30, first: '1' });
    expect(await listHeldKeys({ ...place(), limit: 9, ...(a && { after: a }) })).toMatchObject([
      { aggregateId: 'b', state: 'parked', nextTry: null },
    ]);
  });

  it('is tried now where a person says so, left out events included, with an audit row', async () => {
    expect(await previewHeld(place(), {})).toEqual({ events: 5, keys: 3, done: 0 });
    expect(await act('retry', {}, 5)).toEqual({ events: 5, keys: 3, done: 5 });

    expect(await held()).toEqual(['1 held', '2 held', '3 held', '4 held', '5 held']);
    expect(await due()).toEqual(['a', 'b', 'c']);
    const { rows } = await client.query(
      `select actor, action, target, reason, details ->> 'events' as n from millrace.audit`,
    );
    expect(rows).toEqual([{ actor: 'anna', action: 'held.retry', target: 'r', reason: 'mended', n: '5' }]);
    expect((await client.query('select held_revision from millrace.ledger')).rows).toEqual([{ held_revision: '1' }]);
  });

  it('is discarded by key, by id and by state; a chain whose first event goes is due', async () => {
    expect(await act('discard', { ids: ['00000000-0000-7000-8000-000000000003'] })).toMatchObject({ done: 1 });
    expect(await due()).toEqual([]);
    expect(await act('discard', { ids: ['00000000-0000-7000-8000-000000000001'] })).toMatchObject({ done: 1 });
    expect([await held(), await due()]).toEqual([['2 held', '4 held', '5 skipped'], ['a']]);
    expect(await act('discard', { state: 'skipped' })).toMatchObject({ done: 1 });
    expect(await act('discard', { key: { aggregateType: 'order', aggregateId: 'b' } })).toMatchObject({ done: 1 });
    expect([await held(), await due()]).toEqual([['4 held'], ['a', 'b']]);
  });

  it('stays as it is when there are other events than a person was shown', async () => {
    expect(await act('discard', {}, 4)).toEqual({ events: 5, keys: 3, done: 0 });
    expect(await held()).toHaveLength(5);
    expect((await client.query('select from millrace.audit')).rowCount).toBe(0);
  });

  it('is for any member of millrace_relay to see and to change', async () => {
    const login = `login_${database.name}`;
    await client.query(`create role ${login} login password 'x'; grant millrace_relay to ${login}`);
    try {
      const databaseUrl = Object.assign(new URL(database.url), { username: login, password: 'x' }).toString();
      const asMember = { ...place(), databaseUrl };
      expect(await listParked({ ...asMember, limit: 9 })).toHaveLength(3);
      expect(await listHeldKeys({ ...asMember, limit: 9 })).toHaveLength(2);
      const command = { ...asMember, filter: { state: 'skipped' as const }, actor: 'anna', reason: null };
      expect(await changeHeld({ ...command, action: 'retry' })).toMatchObject({ done: 1 });
      expect(await changeHeld({ ...command, filter: {}, action: 'discard' })).toMatchObject({ done: 5 });
    } finally {
      await client.query(`drop role ${login}`);
    }
  });

  it('is that of a route which has run', async () => {
    await expect(previewHeld({ ...place(), route: 'none' }, {})).rejects.toMatchObject({ code: 'route_unknown' });
    const command = { ...place(), route: 'none', action: 'retry' as const, filter: {}, actor: 'a', reason: null };
    await expect(changeHeld(command)).rejects.toMatchObject({ code: 'route_unknown' });
  });
});
