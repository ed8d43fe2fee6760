import { spawn } from 'node:child_process';
import { javaProgram } from './java.js';
import { topicOffsets } from './kafka-admin.js';
import { kafkaClassPath } from './kafka-libraries.js';
import { type ConsumedRecord, FORMATTER_PROPERTIES, parseConsoleRecord, RECORD_END } from './console-output.js';
import { LocalServerError } from './testing.errors.js';

/** What to read, and when to stop. */
export interface ConsoleConsumeOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Stops after so many records. When left out: as many as the topic holds at the call. */
  readonly count?: number | undefined;
  /** Stops, with what there is, when no record came for so long; 10 s when left out. */
  readonly idleTimeoutMs?: number | undefined;
}

const MAIN_CLASS = 'org.apache.kafka.tools.consumer.ConsoleConsumer';

/**
 * Reads a topic from its start with Kafka's own Java console consumer, so that no client of ours judges what a client
 * of ours wrote. Resolves to the records in the order in which the consumer gave them: by offset inside a partition.
 * Takes one to two seconds for Java, and then about 100,000 records a second. Rejects when the consumer fails.
 */
export async function consoleConsume(options: ConsoleConsumeOptions): Promise<ConsumedRecord[]> {
  const wanted = options.count ?? (await heldRecords(options));
  if (wanted === 0) {
    return [];
  }
  const java = javaProgram();
  const consumer = spawn(
    java,
    [
      ...[
        '-Xmx256m',
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        '-Dfile.encoding=UTF-8',
        '-Dstdout.encoding=UTF-8',
      ],
      ...['-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp', await kafkaClassPath(), MAIN_CLASS],
      ...['--bootstrap-server', options.brokers.join(','), '--topic', options.topic, '--from-beginning'],
      ...['--max-messages', String(wanted), '--timeout-ms', String(options.idleTimeoutMs ?? 10_000)],
      ...FORMATTER_PROPERTIES.flatMap((property) => ['--formatter-property', property]),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const complaints: string[] = [];
  consumer.stderr.on('data', (chunk: Buffer) => complaints.push(chunk.toString()));
  const closed = new Promise<number | null>((resolve) => {
    consumer.once('close', resolve);
  });
  const records = await readRecords(consumer.stdout, options.topic);
  const status = await closed;
  const isIdle = complaints.some((text) => text.includes('TimeoutException'));
  if (status !== 0 && !isIdle) {
    const why = complaints.join('').slice(0, 2_000);
    throw new LocalServerError('consumer_failed', `Kafka's console consumer failed on ${options.topic}: ${why}`);
  }
  return records;
}

async function heldRecords(options: ConsoleConsumeOptions): Promise<number> {
  const offsets = await topicOffsets(options.brokers, options.topic);
  return Number(offsets.reduce((sum, partition) => sum + (partition.end - partition.first), 0n));
}

async function readRecords(output: NodeJS.ReadableStream, topic: string): Promise<ConsumedRecord[]> {
  const records: ConsumedRecord[] = [];
  let rest = '';
  output.setEncoding('utf8');
  for await (const chunk of output) {
    const texts = (rest + String(chunk)).split(RECORD_END);
    rest = texts.pop() ?? '';
    for (const text of texts) {
      records.push(parseConsoleRecord(topic, text));
    }
  }
  return records;
}
