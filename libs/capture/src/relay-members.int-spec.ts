import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type SourcePort } from './capture-port.js';
import { createOutboxSource } from './outbox-source.js';
import { JOIN_SQL } from './relay-member.sql.js';
import { type JoinRequest, type RelayMember } from './relay-member.js';

/** No test takes so long. */
const TTL_MS = 600_000;
const GRACE_MS = 300_000;

let database: TestDatabase;
let client: pg.Client;
let joined: { readonly source: SourcePort; readonly owner: string }[];

beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  joined = [];
});

afterEach(async () => {
  await Promise.all(joined.map(({ source, owner }) => source.leave(owner)));
  await client.end();
  await database.drop();
});

function sourceOf(owner: string, name = 'shop'): SourcePort {
  const known = joined.find((each) => each.owner === owner && each.source.name === name);
  if (known !== undefined) {
    return known.source;
  }
  const source = createOutboxSource({ name, databaseUrl: database.url });
  joined.push({ source, owner });
  return source;
}

function join(owner: string, more: Partial<JoinRequest> = {}, name = 'shop'): Promise<readonly RelayMember[]> {
  const request = { owner, ttlMs: TTL_MS, configVersion: 'v1', wants: [], stopped: [], ...more };
  return sourceOf(owner, name).join(request);
}

const namesOf = (members: readonly RelayMember[]): string[] => members.map(({ owner }) => owner);

/** As if `seconds` had gone by since the last sign of `owner`. */
async function age(owner: string, seconds: number): Promise<void> {
  await client.query(
    `update millrace.relay_member set joined_at = joined_at - $2 * interval '1 second',
       seen_at = seen_at - $2 * interval '1 second', expires = expires - $2 * interval '1 second' where owner = $1`,
    [owner, seconds],
  );
}

describe('the members of a source', () => {
  it('are told in the order in which they joined, with what they say of themselves', async () => {
    expect(namesOf(await join('b'))).toEqual(['b']);
    await join('a', { wants: ['r 1', '{"x"}'], stopped: ['r2'], configVersion: 'v2' });
    await age('a', 3);
    expect(await join('b')).toMatchObject([
      { owner: 'a', configVersion: 'v2', wants: ['r 1', '{"x"}'], stopped: ['r2'], memberForMs: 0 },
      { owner: 'b', configVersion: 'v1', wants: [], stopped: [] },
    ]);
  });

  it('count from when they joined to their last sign of life', async () => {
    await join('a');
    await age('a', 10);
    const [self] = await join('a');
    expect(self?.memberForMs).toBeGreaterThanOrEqual(10_000);
    expect(self?.memberForMs).toBeLessThan(TTL_MS);
    await age('a', 10);
    const [other] = await join('b');
    expect(other?.memberForMs).toBe(self?.memberForMs);
  });

  it('are not told any more once their presence has run out, and then join anew', async () => {
    await join('a');
    await join('b');
    await age('a', TTL_MS / 1_000 + 1);
    expect(namesOf(await join('b'))).toEqual(['b']);
    expect(await join('a')).toMatchObject([{ owner: 'b' }, { owner: 'a', memberForMs: 0 }]);
  });

  it('are gone at once when they leave, and may come back', async () => {
    await join('a');
    await join('b');
    await sourceOf('a').leave('a');
    await sourceOf('a').leave('a');
    expect(namesOf(await join('b'))).toEqual(['b']);
    expect(namesOf(await join('a'))).toEqual(['b', 'a']);
  });

  it('of two sources in one database do not mix', async () => {
    await join('a', { wants: ['r1'] });
    expect(await join('a', {}, 'other')).toMatchObject([{ owner: 'a', wants: [] }]);
    expect(await join('b')).toMatchObject([{ owner: 'a', wants: ['r1'] }, { owner: 'b' }]);
  });

  it('are cleared away after a minute by whoever is there, without waiting for a lock', async () => {
    await join('old');
    await join('locked');
    await age('old', TTL_MS / 1_000 + 61);
    await age('locked', TTL_MS / 1_000 + 61);
    const other = await database.connect();
    await other.query(`begin; select from millrace.relay_member where owner = 'locked' for update`);
    try {
      expect(namesOf(await join('a'))).toEqual(['a']);
    } finally {
      await other.query('rollback');
      await other.end();
    }
    expect((await client.query('select owner from millrace.relay_member order by 1')).rows).toEqual([
      { owner: 'a' },
      { owner: 'locked' },
    ]);
  });

  it('are read by one statement that needs no more than the rights of a relay', async () => {
    await client.query('begin; set local role millrace_relay');
    const values = ['a', 5_000, 'v1', [], [], 'shop'];
    expect((await client.query(JOIN_SQL, values)).rows).toMatchObject([{ owner: 'a', wants: '[]' }]);
    await client.query('rollback');
  });

  it('that lost their connection come back with the next call', async () => {
    await join('a');
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'millrace members'`,
    );
    await expect(join('a')).rejects.toMatchObject({ code: 'database_unavailable' });
    expect(namesOf(await join('a'))).toEqual(['a']);
  });
});

describe('a claim with a grace', () => {
  const claim = (owner: string, graceMs: number): ReturnType<SourcePort['claim']> =>
    sourceOf(owner).claim({
      route: 'r',
      owner,
      ttlMs: TTL_MS,
      graceMs,
      from: { kind: 'earliest' },
      aggregateTypes: null,
    });

  it('leaves a route that was given back to others for so long', async () => {
    const first = await claim('a', 0);
    if (first.kind === 'claimed') {
      await first.capture.close();
    }
    const refused = await claim('a', GRACE_MS);
    expect(refused).toMatchObject({ kind: 'held', owner: '' });
    expect(refused.kind === 'held' && refused.expiresInMs > GRACE_MS / 2).toBe(true);
    await client.query(`update millrace.ledger set updated_at = updated_at - interval '${GRACE_MS + 1_000} ms'`);
    const granted = await claim('a', GRACE_MS);
    expect(granted.kind).toBe('claimed');
    if (granted.kind === 'claimed') {
      await granted.capture.close();
    }
  });

  it('leaves a route whose lease ran out to others for so long, and a new route too', async () => {
    expect(await claim('a', GRACE_MS)).toMatchObject({ kind: 'held', owner: '' });
    const first = await claim('b', 0);
    await client.query(`update millrace.ledger set expires = clock_timestamp() - interval '1 second'`);
    const refused = await claim('a', GRACE_MS);
    expect(refused).toMatchObject({ kind: 'held', owner: 'b' });
    expect(refused.kind === 'held' && refused.expiresInMs <= GRACE_MS - 1_000).toBe(true);
    const granted = await claim('a', 0);
    expect(granted.kind).toBe('claimed');
    for (const each of [first, granted]) {
      if (each.kind === 'claimed') {
        await each.capture.close();
      }
    }
  });

  it('waits for nothing when the clock was set back', async () => {
    expect(await claim('a', GRACE_MS)).toMatchObject({ kind: 'held' });
    await client.query(`update millrace.ledger set updated_at = clock_timestamp() + interval '1 hour'`);
    const granted = await claim('a', GRACE_MS);
    expect(granted.kind).toBe('claimed');
    if (granted.kind === 'claimed') {
      await granted.capture.close();
    }
  });
});
