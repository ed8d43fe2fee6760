import { type KafkaClient } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { type Servers } from '../../harness/servers.js';
import { startBenchServers } from '../bench-servers.js';
import { machineText } from '../machine.js';
import { PARTITIONS } from './consumer-run.js';
import { benchDrainTopic } from './drain-topic.js';
import { benchIdleConsumer } from './idle-consumer.js';
import { benchSlowKey } from './slow-key.js';

/** The parts of the benchmark. */
export const CONSUME_PARTS = ['drain', 'slow-key', 'idle'] as const;
export type ConsumePart = (typeof CONSUME_PARTS)[number];

/** What `bench consume` is asked to do. */
export interface ConsumeRequest {
  readonly clients: readonly KafkaClient[];
  readonly events: number;
  readonly runs: number;
  readonly batchSizes: readonly number[];
  readonly concurrency: number;
  readonly parts: readonly ConsumePart[];
  /** A folder for V8 profiles of the consumer, one a run of the drain. */
  readonly profileDir: string | undefined;
}

/** The same on servers that run. */
export interface ConsumeBenchOptions extends ConsumeRequest {
  readonly servers: Servers;
}

const BENCH: Readonly<Record<ConsumePart, (options: ConsumeBenchOptions) => Promise<string>>> = {
  drain: benchDrainTopic,
  'slow-key': benchSlowKey,
  idle: benchIdleConsumer,
};

/** One consumer process whose handler does one insert: how fast, at what cost, beside a slow key, and with nothing to do. */
export async function benchConsume(request: ConsumeRequest): Promise<void> {
  const servers = await startBenchServers();
  let isComplete = false;
  try {
    say(`${request.events.toLocaleString('en')} events, ${PARTITIONS} partitions; ${machineText()}\n`);
    for (const part of request.parts) {
      say(`${await BENCH[part]({ ...request, servers })}\n`);
    }
    isComplete = true;
  } finally {
    await servers.stop(isComplete ? 'remove' : 'keep');
  }
}
