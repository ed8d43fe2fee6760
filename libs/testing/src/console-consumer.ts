import { spawn } from 'node:child_process';
import { closeSync, createReadStream, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { javaProgram } from './java.js';
import { type PartitionOffsets, topicOffsets } from './kafka-admin.js';
import { kafkaClassPath } from './kafka-libraries.js';
import { type ConsumedRecord, FORMATTER_PROPERTIES, parseConsoleRecord, RECORD_END } from './console-output.js';
import { leash } from './leash.js';
import { LocalServerError } from './testing.errors.js';

/** What to read, and when to stop. */
export interface ConsoleConsumeOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Stops after so many records. When left out: as many as the topic holds at the call. */
  readonly count?: number | undefined;
  /** Stops when no record came for so long, once all that the topic held at the call were read; 10 s when left out. */
  readonly idleTimeoutMs?: number | undefined;
}

const MAIN_CLASS = 'org.apache.kafka.tools.consumer.ConsoleConsumer';
const ATTEMPTS = 3;
const LEADER_PAUSE_MS = 1_000;
const JVM = ['-Xmx256m', '-XX:+UseSerialGC', '-Dfile.encoding=UTF-8', '-Dstdout.encoding=UTF-8'];

/**
 * Reads a topic from its start with Kafka's own Java console consumer, so that no client of ours judges what a client
 * of ours wrote. Resolves to the records in the order in which the consumer gave them: by offset inside a partition.
 * Takes a second or two for Java, and then 30,000 to 50,000 records a second. Rejects when the consumer fails,
 * or ends before what the topic held at the call.
 */
export async function consoleConsume(options: ConsoleConsumeOptions): Promise<ConsumedRecord[]> {
  const held = await heldRecords(options);
  const wanted = options.count ?? held;
  if (wanted === 0) {
    return [];
  }
  const classPath = await kafkaClassPath();
  let idleTimeoutMs = options.idleTimeoutMs ?? 10_000;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const records = await consumeOnce(options, { wanted, idleTimeoutMs, classPath });
    if (records.length >= Math.min(wanted, held)) {
      return records;
    }
    idleTimeoutMs *= 4; // a busy machine: the time to start counts as idle, too
  }
  const message = `Kafka's console consumer did not get to the ${held} records that ${options.topic} holds.`;
  throw new LocalServerError('consumer_failed', message);
}

interface Consumption {
  readonly wanted: number;
  readonly idleTimeoutMs: number;
  readonly classPath: string;
}

async function consumeOnce(options: ConsoleConsumeOptions, consumption: Consumption): Promise<ConsumedRecord[]> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-consume-'));
  try {
    await runConsumer(options, consumption, folder);
    return await readRecords(join(folder, 'records'), options.topic);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The consumer flushes after every field: into a file that costs half of what it costs into a pipe. */
async function runConsumer(options: ConsoleConsumeOptions, consumption: Consumption, folder: string): Promise<void> {
  const { wanted, idleTimeoutMs, classPath } = consumption;
  const complaints = join(folder, 'complaints');
  const outputs = [openSync(join(folder, 'records'), 'w'), openSync(complaints, 'w')];
  const consumer = spawn(
    javaProgram(),
    [
      ...[...JVM, '-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp', classPath, MAIN_CLASS],
      ...['--bootstrap-server', options.brokers.join(','), '--topic', options.topic, '--from-beginning'],
      ...['--max-messages', String(wanted), '--timeout-ms', String(idleTimeoutMs)],
      ...FORMATTER_PROPERTIES.flatMap((property) => ['--formatter-property', property]),
    ],
    { stdio: ['ignore', ...outputs] },
  );
  outputs.forEach(closeSync);
  const held = leash({ pid: consumer.pid ?? 0, signal: 'SIGKILL', removeAfter: folder });
  const status = await new Promise<number | null>((resolve) => {
    consumer.once('exit', resolve);
  });
  held.release();
  const said = readFileSync(complaints, 'utf8');
  if (status !== 0 && !said.includes('TimeoutException')) {
    const why = said.slice(0, 2_000);
    throw new LocalServerError('consumer_failed', `Kafka's console consumer failed on ${options.topic}: ${why}`);
  }
}

async function heldRecords(options: ConsoleConsumeOptions): Promise<number> {
  const offsets = await offsetsOfLeaders(options);
  return Number(offsets.reduce((sum, partition) => sum + (partition.end - partition.first), 0n));
}

/** A leader that has just been moved is not yet known to every broker: that is asked again, a few times. */
async function offsetsOfLeaders({ brokers, topic }: ConsoleConsumeOptions): Promise<PartitionOffsets[]> {
  for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
    try {
      return await topicOffsets(brokers, topic);
    } catch {
      await sleep(LEADER_PAUSE_MS);
    }
  }
  return topicOffsets(brokers, topic);
}

async function readRecords(file: string, topic: string): Promise<ConsumedRecord[]> {
  const records: ConsumedRecord[] = [];
  let rest = '';
  for await (const chunk of createReadStream(file, { encoding: 'utf8' })) {
    const texts = (rest + String(chunk)).split(RECORD_END);
    rest = texts.pop() ?? '';
    for (const text of texts) {
      records.push(parseConsoleRecord(topic, text));
    }
  }
  return records;
}
