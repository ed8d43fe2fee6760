import { join } from 'node:path';
import { Outbox } from '@millrace/outbox';
import { freePort } from '@millrace/testing';
import type pg from 'pg';
import { RelayProcess } from '../../../harness/relay-process.js';
import { withClient } from '../../../harness/servers.js';
import { KeyChanged } from '../app/key-changed.js';
import { type FaultRow } from '../fault-row.js';
import { type RowWorld } from '../row-world.js';

const KEYS = 12;
const outbox = new Outbox({ events: [KeyChanged] });

async function publish(world: RowWorld, client: pg.Client, key: string, version: number): Promise<void> {
  const [event] = await outbox.publish(client, KeyChanged, { key, version }, { aggregateVersion: version });
  world.committed.push({ id: event?.id ?? '', key, version });
}

/** The later of two transactions on a key waits for the earlier one's lock; with the wrong rule its event does not. */
async function changeTwice(world: RowWorld, key: string): Promise<void> {
  await withClient(world.database.url, async (first) =>
    withClient(world.database.url, async (second) => {
      const lock = { text: 'update aggregate set version = version + 1 where key = $1', values: [key] };
      await first.query('begin');
      await second.query('begin');
      await first.query(lock);
      if (!world.isOurs) {
        await publish(world, second, key, 2);
      }
      const waiting = second.query(lock);
      await publish(world, first, key, 1);
      await first.query('commit');
      await waiting;
      if (world.isOurs) {
        await publish(world, second, key, 2);
      }
      await second.query('commit');
    }),
  );
}

/** A real outbox and the real relay: the consumer can only be as right as the producer's order. */
export const EVENT_BEFORE_LOCK: FaultRow = {
  number: 53,
  title: "two writers of a key, the later one's event ready early",
  wrongRules: [
    {
      name: 'event-before-lock',
      text: "the producer writes the event before it has the aggregate's lock",
      expected: ['order'],
    },
  ],
  async run(world) {
    const { client, servers } = world.setup;
    await world.database.query('create table aggregate (key text primary key, version integer not null)');
    await world.database.query(`insert into aggregate select 'key-' || n, 0 from generate_series(1, ${KEYS}) n`);
    const relay = new RelayProcess({
      file: join(servers.folder, `${world.group.group}-relay`),
      databaseUrl: world.database.url,
      brokers: servers.kafka.brokers,
      client,
      port: await freePort(),
      routes: [{ name: 'consume', topic: world.group.topic }],
    });
    try {
      await world.startAlone('a');
      for (let index = 1; index <= KEYS; index += 1) {
        await changeTwice(world, `key-${index}`);
      }
      const late = await world.settled();
      return [...late, ...(await world.verdict())];
    } finally {
      await relay.end('SIGTERM');
    }
  },
};
