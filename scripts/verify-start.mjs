import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, runMain } from './setup/command-error.mjs';
import { continueOnPinnedNode } from './setup/install.mjs';
import { ROOT } from './setup/paths.mjs';
import { readSettings, wantedPorts } from './start/settings.mjs';
import { ChoreographyCheck } from './verify-start/choreography.mjs';

/**
 * By hand, on Linux, after a build: proves on a fresh clone of HEAD that `npm start` comes up (in 4 minutes, and in 30 s
 * the second time), that an order's event is in Kafka as it is in PostgreSQL, that the three services agree on what
 * becomes of orders, and that a stop leaves nothing.
 */
const FIRST_LIMIT_S = 240;
const LATER_LIMIT_S = 30;
const STOP_LIMIT_S = 30;
const HEADERS = ['id', 'eventType', 'schemaversion', 'aggregateversion', 'millrace-source', 'millrace-route'];
const PLACED = { customerId: 'verify', lines: [{ sku: 'book', quantity: 2, unitPriceCents: 1_250 }] };

async function main() {
  await continueOnPinnedNode();
  const settings = readSettings(process.env);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-verify-'));
  chmodSync(folder, 0o755); // as a clone lies, not as mkdtemp makes it
  const clone = join(folder, 'clone');
  try {
    run('git', ['clone', '--quiet', ROOT, clone]);
    await verifyRun({ clone, settings, limitS: FIRST_LIMIT_S, signal: 'SIGINT' });
    await verifyRun({ clone, settings, limitS: LATER_LIMIT_S, signal: 'SIGTERM' });
    console.log('npm start is verified.');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function verifyRun({ clone, settings, limitS, signal }) {
  const npm = await start(clone, limitS);
  try {
    await verifyEvent(settings);
    await new ChoreographyCheck(urlsOf(settings)).verify();
  } finally {
    await stop(npm, signal, clone, settings);
  }
}

async function start(clone, limitS) {
  const startedAt = performance.now();
  const npm = spawn('npm', ['start'], { cwd: clone, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [npm.stdout, npm.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const seconds = () => (performance.now() - startedAt) / 1_000;
  while (!output.includes('Millrace is up')) {
    if (npm.exitCode !== null || seconds() > limitS) {
      await signalAndWait(npm, -npm.pid, 'SIGTERM');
      throw new CommandError(`npm start was not up after ${seconds().toFixed(0)} s (at most ${limitS}):\n${output}`);
    }
    await sleep(100);
  }
  console.log(`up after ${seconds().toFixed(1)} s (at most ${limitS})`);
  return npm;
}

function urlsOf({ services }) {
  return Object.fromEntries(services.map(({ name, port }) => [name, `http://127.0.0.1:${port}`]));
}

async function verifyEvent(settings) {
  const answer = await fetch(`${urlsOf(settings).order}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
    body: JSON.stringify(PLACED),
  });
  const { id } = await answer.json();
  require(answer.status === 202 && id !== undefined, `POST /orders was answered with ${answer.status}`);
  const written = await payloadOf(id, settings);
  const record = await recordOf(id, settings);
  require(record.value === written, 'the value in Kafka is not the payload as PostgreSQL prints it');
  const missing = HEADERS.filter((header) => record.headers[header] === undefined);
  require(missing.length === 0, `the record has no header ${missing.join(', ')}`);
  require(record.headers.eventType === 'order.placed', `eventType is ${record.headers.eventType}`);
  console.log(`order ${id}: ${record.topic}/${record.partition}@${record.offset}`, record.headers);
}

async function payloadOf(id, { postgres, services }) {
  const { default: pg } = await import('pg');
  const adminUrl = postgres.adminUrl ?? `postgres://postgres@127.0.0.1:${postgres.port}/postgres`;
  const url = new URL(services[0].databaseUrl ?? adminUrl);
  url.pathname = services[0].databaseUrl === undefined ? '/order' : url.pathname;
  const client = new pg.Client({ connectionString: url.toString() });
  await client.connect();
  try {
    const text = 'select payload::text as payload from millrace.outbox where aggregateid = $1';
    const { rows } = await client.query(text, [id]);
    return rows[0].payload;
  } finally {
    await client.end();
  }
}

async function recordOf(id, { kafka }) {
  const { consoleConsume } = await import('@millrace/testing');
  const brokers = (kafka.brokers ?? `127.0.0.1:${kafka.port}`).split(',');
  for (let attempt = 0; attempt < 10; attempt++) {
    const records = await consoleConsume({ brokers, topic: 'outbox.event.order' });
    const found = records.find(({ key }) => key === id);
    if (found !== undefined) {
      return found;
    }
  }
  throw new CommandError(`The event of order ${id} did not come to outbox.event.order.`);
}

/** SIGINT as a terminal sends it, to all processes of the group; SIGTERM as a supervisor does, to npm alone. */
async function stop(npm, signal, clone, settings) {
  const startedAt = performance.now();
  await signalAndWait(npm, signal === 'SIGINT' ? -npm.pid : npm.pid, signal);
  const left = processesOf(clone);
  require(left.length === 0, `after ${signal} these processes are left:\n${left.join('\n')}`);
  const { isPortFree } = await import('@millrace/testing');
  for (const { who, port } of wantedPorts(settings)) {
    require(await isPortFree(port), `after ${signal} port ${port} of ${who} is open`);
  }
  console.log(`nothing left ${((performance.now() - startedAt) / 1_000).toFixed(1)} s after ${signal}`);
}

/** The output closes when the last process that has it ends, which may be later than npm. */
async function signalAndWait(npm, target, signal) {
  const closed = new Promise((resolve) => npm.once('close', resolve));
  if (npm.exitCode === null) {
    process.kill(target, signal);
    await Promise.race([closed, sleep(STOP_LIMIT_S * 1_000, undefined, { ref: false })]);
  }
}

function processesOf(clone) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => `${pid} ${readOrNothing(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`)
    .filter((line) => line.includes(clone));
}

function readOrNothing(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // the process ended in this moment
  }
}

function require(isTrue, otherwise) {
  if (!isTrue) {
    throw new CommandError(`Not verified: ${otherwise}.`);
  }
}

function run(command, commandArguments) {
  require(spawnSync(command, commandArguments, { stdio: 'inherit' }).status === 0, `${command} failed`);
}

await runMain(main);
