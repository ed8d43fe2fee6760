import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@millrace/testing';
import type pg from 'pg';
import { type DataSource } from 'typeorm';
import { Inbox } from './inbox.js';
import { type Arrival, type Handle, type HoldVerdict } from './inbox-port.js';
import { arrivalOf, EFFECT_TABLE, openDataSource, recordEffect } from './testing-doubles/inbox-scene.js';

const ROUNDS = 60;
const EVENTS = 8;
const HELD: HoldVerdict = { kind: 'held', retryInMs: 0, code: 'c', reason: 'r' };

let database: TestDatabase;
let observer: pg.Client;
let sources: DataSource[];

beforeAll(async () => {
  database = await createTestDatabase();
  observer = await database.connect();
  await observer.query(EFFECT_TABLE);
  sources = [await openDataSource(database.url), await openDataSource(database.url)];
});

afterAll(async () => {
  for (const source of sources) {
    await source.destroy();
  }
  await observer.end();
  await database.drop();
});

/** The same numbers for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function memberOf(index: number): Inbox {
  const dataSource = sources[index % sources.length];
  if (dataSource === undefined) {
    throw new Error('no such member');
  }
  return new Inbox({ consumer: 'stock', dataSource });
}

/** Fails now and then after its write, and gives way to the others before it ends. */
function moody(random: () => number): Handle {
  return async (arrival, tx) => {
    await recordEffect(arrival, tx);
    if (random() < 0.3) {
      await tx.query('select pg_sleep($1)', [random() / 500]);
    }
    if (random() < 0.2) {
      throw new Error('moody');
    }
  };
}

/** One owner of the partition brings the key's events in order, alone or two at once; what fails is set aside. */
async function bring(inbox: Inbox, events: readonly Arrival[], random: () => number): Promise<void> {
  const handle = moody(random);
  for (let from = 0; from < events.length;) {
    const batch = events.slice(from, from + (random() < 0.3 ? 2 : 1));
    try {
      await inbox.apply(batch, handle);
      from += batch.length;
    } catch {
      const [first] = batch;
      if (first !== undefined && (await inbox.hold(first, HELD)) !== 'duplicate') {
        from += 1;
      }
    }
  }
}

async function releaseUntil(inbox: Inbox, isOver: () => boolean, random: () => number): Promise<void> {
  while (!isOver()) {
    await inbox.releaseDue(moody(random), () => HELD);
  }
}

describe('release beside new arrivals, by two members', () => {
  it(`keeps the order of the key, loses nothing and repeats nothing, in ${ROUNDS} random runs`, async () => {
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const random = randomOf(seed);
      const key = `key-${seed}`;
      const events = Array.from({ length: EVENTS }, (_, n) => arrivalOf({ key, position: seed * EVENTS + n }));
      let isOver = false;
      const releases = [0, 1].map(async (index) => {
        await releaseUntil(memberOf(index), () => isOver, random);
      });
      // a member that was thought dead brings some of them again
      await Promise.all([
        bring(memberOf(0), events, random),
        ...(random() < 0.5 ? [bring(memberOf(1), events.slice(0, 4), random)] : []),
      ]);
      isOver = true;
      await Promise.all(releases);
      while ((await memberOf(0).countSetAside()).heldKeys > 0) {
        await memberOf(1).releaseDue(recordEffect, () => HELD);
      }

      const { rows } = await observer.query<{ id: string }>('select id from public.effect where key = $1 order by n', [
        key,
      ]);
      expect({ seed, ids: rows.map(({ id }) => id) }).toEqual({ seed, ids: events.map(({ id }) => id) });
    }
  }, 600_000);
});
