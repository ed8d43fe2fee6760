import { describe, expect, it } from '@jest/globals';
import { type BrokerLink, type KafkaConsumerPort, type WireRequest } from './kafka-consumer-port.js';
import { KafkaCluster } from './kafka-cluster.js';
import { HEARTBEAT } from './wire/group-apis.js';
import { WireWriter } from './wire/wire-buffers.js';

const identity = { groupId: 'g', memberId: 'm', generation: 1 };
const ok = new WireWriter().int32(0).int16(0).finish();
const metadata = new WireWriter()
  .int32(0)
  .array(['b:1', 'c:1'], (to, address) =>
    to
      .int32(address === 'b:1' ? 2 : 3)
      .string(address[0] ?? '')
      .int32(1)
      .string(null),
  )
  .string('cluster')
  .int32(2)
  .array([], () => undefined)
  .finish();

/** Brokers that answer as the test says; what it leaves out never answers. */
class FakeClient implements KafkaConsumerPort {
  readonly asked: string[] = [];
  readonly closed: string[] = [];

  constructor(private readonly answers: Readonly<Record<string, (request: WireRequest) => Promise<Buffer>>>) {}

  decompress(): Buffer {
    throw new Error('not used');
  }

  connect(address: string): Promise<BrokerLink> {
    const answer = this.answers[address];
    if (answer === undefined) {
      return new Promise(() => undefined);
    }
    return Promise.resolve({
      send: (request) => {
        this.asked.push(`${request.name} of ${address}`);
        return answer(request);
      },
      close: () => {
        this.closed.push(address);
      },
    });
  }
}

function clusterOf(client: KafkaConsumerPort, bootstrap = ['a:1', 'b:1']): KafkaCluster {
  return new KafkaCluster({ client, bootstrap, connectTimeoutMs: 30, requestTimeoutMs: 30 });
}

describe('the leaders of topics', () => {
  it('are told without Kafka’s own topics when all are asked for, and with them when they are named', async () => {
    const answer = new WireWriter()
      .int32(0)
      .array([], () => undefined)
      .string('cluster')
      .int32(2)
      .array(['__consumer_offsets', 'orders'], (to, topic) =>
        to
          .int16(0)
          .string(topic)
          .int8(topic.startsWith('__') ? 1 : 0)
          .array([], () => undefined),
      )
      .finish();
    const cluster = clusterOf(new FakeClient({ 'a:1': () => Promise.resolve(answer) }));

    expect([...(await cluster.leadersOf(null)).keys()]).toEqual(['orders']);
    expect([...(await cluster.leadersOf(['__consumer_offsets'])).keys()]).toContain('__consumer_offsets');
  });
});

describe('the brokers of a cluster', () => {
  it('are asked one after the other for what any of them knows, and the last that knew comes first', async () => {
    const client = new FakeClient({
      'a:1': () => Promise.reject(new Error('down')),
      'b:1': () => Promise.resolve(metadata),
    });
    const cluster = clusterOf(client);
    await cluster.leadersOf([]);
    await cluster.leadersOf([]);

    expect(client.asked).toEqual(['Metadata of a:1', 'Metadata of b:1', 'Metadata of b:1']);
    expect([cluster.addressOf(2), cluster.addressOf(3)]).toEqual(['b:1', 'c:1']);
    expect(() => cluster.addressOf(9)).toThrow('no broker 9');
  });

  it('are disconnected when they give no answer in time, and connected anew for the next question', async () => {
    let isMute = true;
    const client = new FakeClient({
      'a:1': () => (isMute ? new Promise(() => undefined) : Promise.resolve(ok)),
    });
    const cluster = clusterOf(client);

    await expect(cluster.ask('a:1', HEARTBEAT, identity)).rejects.toMatchObject({ name: 'SendDeadlineError' });
    expect(client.closed).toEqual(['a:1']);
    isMute = false;
    await expect(cluster.ask('a:1', HEARTBEAT, identity)).resolves.toEqual({ errorCode: 0 });
  });

  it('are given up when they let nobody in', async () => {
    await expect(clusterOf(new FakeClient({})).ask('a:1', HEARTBEAT, identity)).rejects.toMatchObject({
      name: 'SendDeadlineError',
    });
  });

  it('are asked nothing once disconnected, not even by who waits for a connection, until there is a new beginning', async () => {
    const cluster = new KafkaCluster({
      client: new FakeClient({ 'b:1': () => Promise.resolve(ok) }),
      bootstrap: [],
      connectTimeoutMs: 60_000,
      requestTimeoutMs: 60_000,
    });
    const waiting = cluster.ask('a:1', HEARTBEAT, identity);
    cluster.disconnect();
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    await expect(cluster.ask('b:1', HEARTBEAT, identity)).rejects.toMatchObject({ code: 'unavailable' });

    cluster.reconnect();
    await expect(cluster.ask('b:1', HEARTBEAT, identity)).resolves.toEqual({ errorCode: 0 });
  });
});
