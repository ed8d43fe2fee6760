import {
  type BatchEntry,
  type EntryFailure,
  HttpFaultProxy,
  LocalSqs,
  type SinkFaults,
  type SinkSubject,
  uniqueName,
  until,
} from '@millrace/testing';
import { createSqsSink, createSqsSubscription, type Delivery, type SubscriptionPort } from '@millrace/transport';
import { LIMITS, PATIENCE_MS } from './limits.js';

const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };
const REGION = 'us-east-1';
const POISON = 'refused by the queue';

/** Sinks for queues of one kind, by way of a proxy before a server that is the subject's own. */
export interface SqsSubject extends SinkSubject {
  stop(): Promise<void>;
}

/** Starts the server. */
export async function startSqsSubject(kind: 'FIFO' | 'standard'): Promise<SqsSubject> {
  const sqs = await LocalSqs.start();
  const proxy = await HttpFaultProxy.start({ port: sqs.port });
  const queues = new QueueReaders(sqs);
  const suffix = kind === 'FIFO' ? '.fifo' : '';
  const { requestTimeoutMs, sendDeadlineMs, drainMs } = LIMITS;
  const makeTopic = (): string => {
    const topic = uniqueName('conformance');
    sqs.createQueue(`${topic}${suffix}`);
    return topic;
  };
  return {
    name: `SQS, ${kind}`,
    patienceMs: PATIENCE_MS,
    create: () =>
      createSqsSink({
        connection: { region: REGION, credentials: CREDENTIALS },
        queues: sqs.urlOf(`{topic}${suffix}`, proxy.endpoint),
        lanes: 6,
        requestTimeoutMs,
        sendDeadlineMs,
        drainMs,
      }),
    makeTopic: () => Promise.resolve(makeTopic()),
    makePoisonedTopic: () => {
      const refusal = { code: 'InvalidMessageContents', isSenderFault: true };
      failEntries(proxy, ({ body }) => (body === POISON ? refusal : null));
      return Promise.resolve({ topic: makeTopic(), value: Buffer.from(POISON) });
    },
    readAll: (topic) => queues.readAll(topic, `${topic}${suffix}`),
    faults: httpFaults(proxy),
    limits: { 'no repeats': 'within the five minutes that SQS remembers' },
    slowDown: ({ id }, key) => {
      proxy.set(({ action, body }) => {
        const isSlow = action === 'SendMessageBatch' && body.includes(key.toString());
        return { kind: isSlow ? 'swallow_reply' : 'pass' };
      });
      const release = (): Promise<void> => {
        proxy.clear();
        return Promise.resolve();
      };
      return Promise.resolve({ ids: new Set([id]), release });
    },
    stop: async () => {
      await queues.stop();
      await proxy.stop();
      await sqs.stop();
    },
  };
}

function httpFaults(proxy: HttpFaultProxy): SinkFaults {
  return {
    cut: () => {
      proxy.set({ kind: 'cut' });
    },
    silence: () => {
      proxy.set({ kind: 'swallow_reply' });
    },
    loseReplies: () => {
      proxy.set({ kind: 'lose_reply' });
    },
    breakBatches: () => {
      failEntries(proxy, ({ index }) =>
        index % 2 === 0 ? null : { code: 'InternalError', isSenderFault: false, isStored: index % 4 === 1 },
      );
    },
    heal: () => {
      proxy.clear();
    },
  };
}

function failEntries(proxy: HttpFaultProxy, failureOf: (entry: BatchEntry) => EntryFailure | null): void {
  proxy.set(({ action }) => (action === 'SendMessageBatch' ? { kind: 'fail_entries', failureOf } : { kind: 'pass' }));
}

/** A queue gives a message once: each has one subscription, past the proxy, that keeps what it was given. */
class QueueReaders {
  private readonly readers = new Map<string, { readonly subscription: SubscriptionPort; readonly read: Delivery[] }>();

  constructor(private readonly sqs: LocalSqs) {}

  async readAll(topic: string, queue: string): Promise<readonly Delivery[]> {
    const { read } = this.readers.get(topic) ?? (await this.begin(topic, queue));
    await until(
      () => Promise.resolve(this.sqs.contentOf(queue)),
      ({ ready, inFlight }) => ready.length + inFlight === 0,
      'the queue to be read to its end',
    );
    return [...read];
  }

  async stop(): Promise<void> {
    await Promise.all([...this.readers.values()].map(({ subscription }) => subscription.stop()));
  }

  private async begin(topic: string, queue: string): Promise<{ readonly read: Delivery[] }> {
    const read: Delivery[] = [];
    const subscription = createSqsSubscription({
      connection: { region: REGION, credentials: CREDENTIALS },
      queues: this.sqs.urlOf(queue),
      topics: [topic],
      waitSeconds: 1,
    });
    this.readers.set(topic, { subscription, read });
    await subscription.start({
      open: (partition) =>
        Promise.resolve({
          receive: ({ deliveries }) => {
            for (const delivery of deliveries) {
              read.push(delivery);
              partition.settle?.(delivery);
            }
            return Promise.resolve();
          },
          close: () => Promise.resolve(),
        }),
    });
    return { read };
  }
}
