import { processCpuMs } from '../../harness/process-usage.js';
import { type Backlog } from '../backlog.js';
import { type Ceiling } from './ceiling.js';
import { type DrainPlace, type DrainSink, type DrainVariant } from './drain-sink.js';
import { RunFolder } from './run-folder.js';
import { bareSends, SQS_ENVIRONMENT, SQS_LANES } from './sqs-ceiling.js';
import { SqsServer } from './sqs-server.js';

/** Kinds of queues. */
export const SQS_QUEUES = ['fifo', 'standard'] as const;
export type SqsQueueKind = (typeof SQS_QUEUES)[number];

/** A local SQS; a place is a queue. The ceiling is the same requests by the AWS SDK alone. */
export async function startSqsDrain(kinds: readonly SqsQueueKind[]): Promise<DrainSink> {
  const folder = new RunFolder();
  let server: SqsServer | undefined;
  const stop = async (logs: 'keep' | 'remove'): Promise<void> => {
    await server?.stop();
    await folder.stop(logs);
  };
  try {
    const source = await folder.startPostgres('source');
    const sqs = await SqsServer.start(folder.path);
    server = sqs;
    const title = `a local SQS (fauxqs, in memory, one thread), ${SQS_LANES} lanes, 10 messages a request`;
    return { folder: folder.path, source, title, variants: kinds.map((kind) => sqsVariant(sqs, kind)), stop };
  } catch (error) {
    await stop('keep');
    throw error;
  }
}

function sqsVariant(server: SqsServer, kind: SqsQueueKind): DrainVariant {
  const suffix = kind === 'fifo' ? '.fifo' : '';
  return {
    name: `SQS ${kind}`,
    ceiling: `@aws-sdk/client-sqs alone, ${kind}`,
    open: async (name, backlog): Promise<DrainPlace> => {
      const queue = `${name}${suffix}`;
      const url = await server.createQueue(queue);
      return {
        relay: {
          brokers: [],
          client: 'platformatic',
          sink: { kind: 'sqs', queues: url, lanes: SQS_LANES },
          environment: SQS_ENVIRONMENT,
        },
        topic: `${name}.{aggregatetype}`,
        cpuMs: () => processCpuMs(server.pid),
        rate: async (seconds) => {
          await server.requireMessages(queue, backlog.events);
          return backlog.events / seconds;
        },
        ceiling: () => ceilingOf(server, backlog, `${name}_alone${suffix}`),
        remove: () => server.deleteQueue(queue),
      };
    },
  };
}

/** On a queue of its own. */
async function ceilingOf(server: SqsServer, backlog: Backlog, queue: string): Promise<Ceiling> {
  const url = await server.createQueue(queue);
  const ceiling = await bareSends({
    queueUrl: url,
    databaseUrl: backlog.databaseUrl,
    sinkCpuMs: () => processCpuMs(server.pid),
  });
  await server.requireMessages(queue, backlog.events);
  await server.deleteQueue(queue);
  return ceiling;
}
