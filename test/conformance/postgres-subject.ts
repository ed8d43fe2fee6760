import { FaultProxy, type SinkSubject, type SlowDown, uniqueName } from '@millrace/testing';
import { createPostgresSink, type SinkPort } from '@millrace/transport';
import pg from 'pg';
import { LIMITS, PATIENCE_MS } from './limits.js';
import { readBackAll } from './read-back.js';
import { tcpFaults } from './tcp-faults.js';

const POISON = 'refused by a constraint';
const POISON_SQL = `alter table millrace.delivery add check (record_value <> '${POISON}')`;
const LOCK_SQL = 'select from millrace.delivery_partition where topic = $1 and partition = $2 for update';

/** Sinks for a database with schema `millrace`, by way of a proxy before its server. */
export interface PostgresSubject extends SinkSubject {
  stop(): Promise<void>;
}

/** `databaseUrl` is of a superuser. */
export async function startPostgresSubject(databaseUrl: string): Promise<PostgresSubject> {
  const { hostname, port } = new URL(databaseUrl);
  const proxy = await FaultProxy.start({ target: { host: hostname, port: Number(port) }, protocol: 'any' });
  const { requestTimeoutMs: sendDeadlineMs, drainMs } = LIMITS;
  const sinkAt = (url: string): SinkPort => createPostgresSink({ databaseUrl: url, sendDeadlineMs, drainMs });
  return {
    name: 'Postgres',
    patienceMs: PATIENCE_MS,
    create: () => sinkAt(proxy.through(databaseUrl)),
    makeTopic: () => Promise.resolve(uniqueName('conformance')),
    makePoisonedTopic: async () => {
      const client = await connected(databaseUrl);
      await client.query(POISON_SQL);
      await client.end();
      return { topic: uniqueName('conformance'), value: Buffer.from(POISON) };
    },
    readAll: (topic) => readBackAll(sinkAt(databaseUrl), topic),
    faults: tcpFaults([proxy]),
    limits: { 'no repeats': 'whoever sends it, for records of a route' },
    slowDown: lockPartition(databaseUrl),
    stop: () => proxy.stop(),
  };
}

/** Somebody else holds the row of the partition, which each delivery locks. */
function lockPartition(databaseUrl: string): SlowDown {
  return async ({ id, topic, partition }) => {
    const client = await connected(databaseUrl);
    await client.query('begin');
    await client.query(LOCK_SQL, [topic, partition]);
    return { ids: new Set([id]), release: () => client.end() };
  };
}

async function connected(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  return client;
}
