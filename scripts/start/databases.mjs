import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { migrate } from '@millrace/schema';
import pg from 'pg';
import { CommandError } from '../setup/command-error.mjs';
import { ROOT } from '../setup/paths.mjs';
import { say } from './say.mjs';

const DUPLICATE_DATABASE = '42P04';

/** Creates the database of each service that has none; returns the services with their databases' URLs. */
export async function createDatabases(services, adminUrl) {
  const placed = services.map((service) => ({
    ...service,
    databaseUrl: service.databaseUrl ?? urlOf(adminUrl, service.name),
  }));
  const missing = services.filter((service) => service.databaseUrl === undefined);
  if (missing.length > 0) {
    await withAdmin(adminUrl, async (client) => {
      for (const { name } of missing) {
        await createDatabase(client, name);
      }
    });
  }
  return placed;
}

/** Brings schema `millrace`, as `millrace migrate` does, and the tables of one service up to date. */
export async function migrateDatabase({ name, databaseUrl }) {
  try {
    await migrate({ databaseUrl });
  } catch (error) {
    throw new CommandError(`The migration of ${name}'s schema millrace failed: ${error.message}`);
  }
  const tables = join(ROOT, 'dist', 'apps', name, 'migrate.js');
  await runProgram(`The migration of ${name}'s tables`, [tables], { DATABASE_URL: databaseUrl });
  say(`Database ${name} is migrated.`);
}

/**
 * Throws when the events of a service have gone the other way: the consumers' record of what they applied is by route, and
 * the routes of the two ways have other names, so all events would be applied again.
 */
export async function requireOneWay({ name, databaseUrl }, isWithKafka) {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    const { rows } = await client.query(`select coalesce(bool_or(route ~ '^[a-z]+-to-[a-z]+$'), false) as is_direct,
      coalesce(bool_or(route !~ '-to-'), false) as is_kafka from millrace.ledger`);
    const [{ is_direct: isDirect, is_kafka: isKafka }] = rows;
    if (isWithKafka ? isDirect : isKafka) {
      const way = isWithKafka ? 'straight into the databases (npm start -- --no-kafka)' : 'through Kafka';
      throw new CommandError(
        `The events of database ${name} have gone ${way} so far, and would all be delivered again: go on like that, or ` +
          'begin with empty databases (npm start -- --fresh removes the local ones).',
      );
    }
  } finally {
    await client.end();
  }
}

async function withAdmin(adminUrl, work) {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
  } catch (cause) {
    const reason = cause.code ?? 'no answer';
    throw new CommandError(
      `POSTGRES_ADMIN_URL cannot be connected to (${reason}): check host, port, user and password.`,
    );
  }
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function createDatabase(client, name) {
  try {
    await client.query(`create database ${client.escapeIdentifier(name)}`);
    say(`Database ${name} is created.`);
  } catch (error) {
    if (error.code !== DUPLICATE_DATABASE) {
      throw new CommandError(`Database ${name} could not be created: ${error.message}.`);
    }
  }
}

function urlOf(adminUrl, database) {
  const url = new URL(adminUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  return url.toString();
}

async function runProgram(title, programArguments, environment = {}) {
  const child = spawn(process.execPath, programArguments, {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const status = await new Promise((resolve) => {
    child.once('close', resolve);
  });
  if (status !== 0) {
    throw new CommandError(`${title} failed:\n${output.trimEnd()}`);
  }
}
