import { createHash } from 'node:crypto';
import { type SendMessageBatchRequestEntry, SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
import { partitionOfKey } from '@millrace/transport';
import { withClient } from '../../harness/servers.js';
import { type Ceiling, measureCeiling } from './ceiling.js';

/** Which events are sent where. */
export interface BareSendsOptions {
  /** A FIFO queue where it ends in `.fifo`. */
  readonly queueUrl: string;
  /** A database with the backlog. */
  readonly databaseUrl: string;
  /** Milliseconds of processor time that the server has used so far. */
  readonly sinkCpuMs: () => number;
}

/** An event of the backlog, as far as its message needs it. */
interface EventRow {
  readonly id: string;
  readonly key: string;
  readonly payload: string;
  readonly position: string;
  readonly version: string;
}

type Request = readonly SendMessageBatchRequestEntry[];

/** Requests in flight, of the relay and of the ceiling. */
export const SQS_LANES = 16;
/** The local server takes any. */
export const SQS_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'bench',
  AWS_SECRET_ACCESS_KEY: 'bench',
  AWS_REGION: 'us-east-1',
} as const;

const ENTRIES_MAX = 10;
const SOCKETS_MAX = 200;
const EVENTS_SQL = `select id::text, aggregateid as key, payload::text, position::text, aggregateversion::text as version
from millrace.outbox order by position`;

/**
 * What the server takes from the AWS SDK alone, with its requests made beforehand: those of the relay in
 * number, size and order, each lane with one in flight. Throws when one message is not taken.
 */
export async function bareSends({ queueUrl, databaseUrl, sinkCpuMs }: BareSendsOptions): Promise<Ceiling> {
  const events = await withClient(databaseUrl, async (client) => (await client.query<EventRow>(EVENTS_SQL)).rows);
  const lanes = lanesOf(events, queueUrl.endsWith('.fifo'));
  const client = clientFor(queueUrl);
  try {
    const work = async (): Promise<void> => {
      await Promise.all(lanes.map((requests) => sendAll(client, queueUrl, requests)));
    };
    return await measureCeiling({ events: events.length, sinkCpuMs, work });
  } finally {
    client.destroy();
  }
}

async function sendAll(client: SQSClient, QueueUrl: string, requests: readonly Request[]): Promise<void> {
  for (const entries of requests) {
    const { Successful = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl, Entries: [...entries] }));
    if (Successful.length !== entries.length) {
      throw new Error(`The server took ${Successful.length} of ${entries.length} messages.`);
    }
  }
}

/** As the relay has its own. */
function clientFor(queueUrl: string): SQSClient {
  return new SQSClient({
    region: SQS_ENVIRONMENT.AWS_REGION,
    endpoint: new URL(queueUrl).origin,
    credentials: {
      accessKeyId: SQS_ENVIRONMENT.AWS_ACCESS_KEY_ID,
      secretAccessKey: SQS_ENVIRONMENT.AWS_SECRET_ACCESS_KEY,
    },
    maxAttempts: 1,
    requestHandler: { httpAgent: { maxSockets: SOCKETS_MAX, keepAlive: true } },
  });
}

/** The backlog has its keys in turn, thousands of them: no request has two messages of a group. */
function lanesOf(events: readonly EventRow[], isFifo: boolean): readonly (readonly Request[])[] {
  const lanes = Array.from({ length: SQS_LANES }, (): SendMessageBatchRequestEntry[][] => []);
  for (const event of events) {
    const requests = lanes[partitionOfKey(Buffer.from(event.key), SQS_LANES)];
    const last = requests?.at(-1);
    const open = last === undefined || last.length === ENTRIES_MAX ? [] : last;
    open.push(entryOf(event, open.length, isFifo));
    if (open !== last) {
      requests?.push(open);
    }
  }
  return lanes;
}

function entryOf(event: EventRow, index: number, isFifo: boolean): SendMessageBatchRequestEntry {
  return {
    Id: String(index),
    MessageBody: event.payload,
    MessageAttributes: { millrace: { DataType: 'String', StringValue: envelopeOf(event) } },
    ...(isFifo && {
      MessageGroupId: event.key,
      MessageDeduplicationId: createHash('sha256').update(event.id).digest('hex'),
    }),
  };
}

/** The nine headers of the relay's records, in as many bytes. */
function envelopeOf({ id, key, position, version }: EventRow): string {
  const headers = [
    ['id', id],
    ['eventType', 'order.placed'],
    ['schemaversion', '1'],
    ['millrace-source', 'main'],
    ['millrace-route', 'drain'],
    ['millrace-position', position],
    ['millrace-epoch', '4294967297'],
    ['millrace-low', position],
    ['aggregateversion', version],
  ];
  return JSON.stringify({ v: 1, topic: 'drain_0_1.order', key, headers, body: 'text' });
}
