import { spawn } from 'node:child_process';
import { createTopic, deleteTopic, javaProgram, kafkaClassPath, uniqueName } from '@millrace/testing';
import { type Servers } from '../harness/servers.js';

/** What Kafka's own tool is asked to do. */
interface ProducerPerformanceOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly records: number;
  readonly recordBytes: number;
}

const PARTITIONS = 6;
const MAIN_CLASS = 'org.apache.kafka.tools.ProducerPerformance';
const SUMMARY = /([\d.]+) records\/sec/g;

/**
 * Records per second of Kafka's own ProducerPerformance with acks=all and otherwise its defaults, on a topic of its own
 * with 6 partitions.
 */
export async function producerPerformanceOn(
  { kafka: { brokers } }: Pick<Servers, 'kafka'>,
  records: number,
  recordBytes: number,
): Promise<number> {
  const topic = uniqueName('yardstick');
  await createTopic({ brokers, topic, partitions: PARTITIONS });
  const rate = await producerPerformance({ brokers, topic, records, recordBytes });
  await deleteTopic(brokers, topic);
  return rate;
}

async function producerPerformance(options: ProducerPerformanceOptions): Promise<number> {
  const classPath = await kafkaClassPath();
  const tool = spawn(
    javaProgram(),
    [
      ...['-Xmx512m', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp', classPath, MAIN_CLASS],
      ...['--bootstrap-server', options.brokers.join(','), '--topic', options.topic],
      ...['--num-records', String(options.records), '--record-size', String(options.recordBytes)],
      ...['--throughput', '-1', '--command-property', 'acks=all'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  tool.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    tool.once('error', reject);
    tool.once('close', resolve);
  });
  const rate = [...output.matchAll(SUMMARY)].at(-1)?.[1]; // the last line sums up
  if (status !== 0 || rate === undefined) {
    throw new Error(`Kafka's ProducerPerformance ended with ${status ?? 'a signal'} and said: ${output.slice(-1_000)}`);
  }
  return Number(rate);
}
